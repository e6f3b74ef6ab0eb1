package door

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"
)

// whoIs finds the client of a key; nil when there is none, or more than one key was sent.
func (d *door) whoIs(headers http.Header) *Client {
	sent := headers.Values("Authorization")
	if len(sent) != 1 {
		return nil
	}
	scheme, key, _ := strings.Cut(sent[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(key))
	digest := []byte(hex.EncodeToString(sum[:]))
	var found *Client
	// All of them, whichever it is: the time must not tell.
	for number := range d.clients {
		if subtle.ConstantTimeCompare(digest, []byte(d.clients[number].Sha256)) == 1 {
			found = &d.clients[number]
		}
	}
	return found
}

// use is what a client has of the gateway at the moment.
type use struct {
	inFlight int
	tokens   float64
	filled   time.Time
}

// Outside of the door: a new configuration makes a new door, and the counts go on.
var (
	guard sync.Mutex
	uses  = map[string]*use{}
)

// enter counts a request in; it says after how many seconds to try again, or 0.
func enter(client *Client) int {
	guard.Lock()
	defer guard.Unlock()
	now := time.Now()
	mine := uses[client.Name]
	if mine == nil {
		mine = &use{tokens: float64(client.Rate), filled: now}
		uses[client.Name] = mine
	}
	if client.InFlight > 0 && mine.inFlight >= client.InFlight {
		return 1
	}
	if client.Rate > 0 {
		perSecond := float64(client.Rate) / 60
		mine.tokens += now.Sub(mine.filled).Seconds() * perSecond
		mine.filled = now
		if mine.tokens > float64(client.Rate) {
			mine.tokens = float64(client.Rate)
		}
		if mine.tokens < 1 {
			return int((1-mine.tokens)/perSecond) + 1
		}
		mine.tokens--
	}
	mine.inFlight++
	return 0
}

// leave counts a request out.
func leave(client *Client) {
	guard.Lock()
	defer guard.Unlock()
	uses[client.Name].inFlight--
}
