package door

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// frontFile says where clients come in; a configuration on trial has none.
const frontFile = "front.json"

const (
	soon     = 20 * time.Millisecond
	dialTime = 2 * time.Second
	lingers  = time.Second
)

var openOnce sync.Once

// open lets clients in as soon as the door answers behind Traefik, and not before: Traefik listens
// half a second before it has routes, and answers 404 until then
// (https://github.com/traefik/traefik/issues/10458). So its own port is inside, and the one clients
// know is a port of ours that leads there.
func open() {
	text, err := os.ReadFile(frontFile)
	if err != nil {
		return
	}
	where := struct{ Outside, Inside string }{}
	if json.Unmarshal(text, &where) != nil || where.Outside == "" {
		return
	}
	go func() {
		for !answers(where.Inside) {
			time.Sleep(soon)
		}
		listen(where.Outside, where.Inside)
	}()
}

func answers(inside string) bool {
	client := &http.Client{Timeout: dialTime, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + inside + "/health")
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func listen(outside string, inside string) {
	listener, err := net.Listen("tcp", outside)
	for err != nil {
		// An address of the tailnet may come later.
		time.Sleep(10 * soon)
		listener, err = net.Listen("tcp", outside)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			time.Sleep(soon)
			continue
		}
		go lead(client.(*net.TCPConn), inside)
	}
}

// lead connects a client with Traefik, which learns from the first line who it is
// (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt).
func lead(client *net.TCPConn, inside string) {
	defer client.Close()
	dialled, err := net.DialTimeout("tcp", inside, dialTime)
	if err != nil {
		return
	}
	server := dialled.(*net.TCPConn)
	defer server.Close()
	if _, err = io.WriteString(server, introduction(client)); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.CloseWrite()
	}()
	_, _ = io.Copy(client, server)
	_ = client.CloseWrite()
	// Who still sends reads the answer to its end: to close at once would throw it away.
	_ = client.SetReadDeadline(time.Now().Add(lingers))
	_, _ = io.Copy(io.Discard, client)
}

func introduction(client *net.TCPConn) string {
	from := client.RemoteAddr().(*net.TCPAddr)
	to := client.LocalAddr().(*net.TCPAddr)
	family := "TCP4"
	if from.IP.To4() == nil {
		family = "TCP6"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, from.IP, to.IP, from.Port, to.Port)
}
