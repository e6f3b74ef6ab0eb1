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
	key := keyIn(headers)
	if key == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(key))
	digest := []byte(hex.EncodeToString(sum[:]))
	var found *Client
	// All of them, whichever it is: the time must not tell.
	for number := range d.config.Clients {
		if subtle.ConstantTimeCompare(digest, []byte(d.config.Clients[number].Sha256)) == 1 {
			found = &d.config.Clients[number]
		}
	}
	return found
}

// keyIn is the key that was sent, as OpenAI's clients send it or as Anthropic's do; "" for none, or
// for two that differ.
func keyIn(headers http.Header) string {
	sent := headers.Values("Authorization")
	other := headers.Values("X-Api-Key")
	if len(sent) > 1 || len(other) > 1 {
		return ""
	}
	if len(sent) == 0 {
		return headers.Get("X-Api-Key")
	}
	scheme, key, _ := strings.Cut(sent[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || (len(other) == 1 && other[0] != key) {
		return ""
	}
	return key
}

// use is what a client has of the gateway at the moment.
type use struct {
	inFlight int
	bytes    int64
	tokens   float64
	filled   time.Time
}

// Outside of the door: a new configuration makes a new door, and the counts go on.
var (
	guard sync.Mutex
	uses  = map[string]*use{}
)

// enter counts a request in; it says after how many seconds to try again, or 0.
func enter(client *Client, most int) int {
	guard.Lock()
	defer guard.Unlock()
	now := time.Now()
	mine := uses[client.Name]
	if mine == nil {
		mine = &use{tokens: float64(client.Rate), filled: now}
		uses[client.Name] = mine
	}
	if client.InFlight > 0 {
		most = client.InFlight
	}
	if mine.inFlight >= most {
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

// reserve takes memory for a body, of what each client may have at once: nobody fills it for all.
func reserve(client *Client, size int64, most int64) bool {
	guard.Lock()
	defer guard.Unlock()
	mine := uses[client.Name]
	if mine.bytes > 0 && mine.bytes+size > most {
		return false
	}
	mine.bytes += size
	return true
}

// release gives such memory back.
func release(client *Client, size int64) {
	guard.Lock()
	defer guard.Unlock()
	uses[client.Name].bytes -= size
}
