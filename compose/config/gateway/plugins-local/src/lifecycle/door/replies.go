package door

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mostHeld is how much of a backend's error is kept until it is known whether the client gets it.
const mostHeld = 1 << 20

// reply is the answer on its way: errors in one shape, and what the log should know.
type reply struct {
	rw        http.ResponseWriter
	began     time.Time
	first     time.Duration
	key       string
	model     string
	anthropic bool
}

func (r *reply) refuse(why refusal) {
	headers := r.rw.Header()
	if (why.status == 429 || why.status == 503) && headers.Get("Retry-After") == "" {
		headers.Set("Retry-After", "1")
	}
	if why.status == 401 {
		headers.Set("WWW-Authenticate", "Bearer")
	}
	r.send(why.status, "application/json", why.text(r.anthropic))
}

func (r *reply) send(status int, kind string, body []byte) {
	r.rw.Header().Set("Content-Type", kind)
	r.rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	r.rw.WriteHeader(status)
	r.first = time.Since(r.began)
	_, _ = r.rw.Write(body)
}

// told are the headers for the log alone.
var told = []string{"Gateway-Key", "Gateway-Model", "Gateway-First-Byte-Ms"}

func (r *reply) tellLog() {
	headers := r.rw.Header()
	headers.Set(told[0], r.key)
	headers.Set(told[1], r.model)
	headers.Set(told[2], strconv.FormatInt(r.first.Milliseconds(), 10))
}

// attempt is what one backend says. A good answer goes on as it comes; an error is held back until
// it is whole: another backend may do better, or its shape is not that of the API.
type attempt struct {
	answer   *reply
	headers  http.Header
	status   int
	held     bytes.Buffer
	streamed bool
	reached  bool
	done     bool
}

func (a *attempt) Header() http.Header {
	return a.headers
}

func (a *attempt) WriteHeader(status int) {
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	if status < 400 {
		a.pass()
		a.flush()
	}
}

// pass lets the client have the head of the answer.
func (a *attempt) pass() {
	a.done = true
	headers := a.answer.rw.Header()
	for name, values := range a.headers {
		headers[name] = values
	}
	a.streamed = a.headers.Get("Content-Length") == ""
	a.answer.rw.WriteHeader(a.status)
}

func (a *attempt) Write(piece []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.done {
		if a.held.Len()+len(piece) <= mostHeld {
			a.held.Write(piece)
		}
		return len(piece), nil
	}
	if a.answer.first == 0 {
		a.answer.first = time.Since(a.answer.began)
	}
	written, err := a.answer.rw.Write(piece)
	a.flush()
	return written, err
}

// flush lets each piece of a stream go at once. Nobody else does: of an interpreted writer, Traefik
// sees the three methods of http.ResponseWriter and no Flush.
func (a *attempt) flush() {
	if flusher, ok := a.answer.rw.(http.Flusher); ok && a.streamed {
		flusher.Flush()
	}
}

// end lets the client have an error that is no reason to ask another backend.
func (a *attempt) end() {
	// Who was not reached has said nothing: the error is Traefik's, of a name or a certificate.
	if a.done || a.status == 0 || ours(a.status) || !a.reached {
		return
	}
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		// The client's key was good: this one is about the gateway's own.
		a.done = true
		a.answer.refuse(lostBackend)
		return
	}
	body := a.held.Bytes()
	mended, fine := mend(a.status, body, a.answer.anthropic)
	if !fine {
		a.done = true
		a.answer.send(a.status, "application/json", mended)
		return
	}
	a.pass()
	a.answer.first = time.Since(a.answer.began)
	_, _ = a.answer.rw.Write(body)
}

// mend gives an error the shape of the API that was called; fine is one that has it already.
func mend(status int, body []byte, anthropic bool) (mended []byte, fine bool) {
	said := struct {
		Type   string
		Error  json.RawMessage
		Detail json.RawMessage
	}{}
	if json.Unmarshal(body, &said) != nil {
		return instead(status).text(anthropic), false
	}
	inner := struct{ Message string }{}
	shaped := json.Unmarshal(said.Error, &inner) == nil && inner.Message != ""
	if shaped && anthropic == (said.Type == "error") {
		return nil, true
	}
	why := instead(status)
	switch {
	case shaped:
		why.message = inner.Message
	case len(said.Detail) > 0:
		why.message = "The server of this model says: " + words(said.Detail)
	case len(said.Error) > 0:
		why.message = "The server of this model says: " + words(said.Error)
	}
	return why.text(anthropic), false
}

// words are those of a text, or the JSON as it is.
func words(value json.RawMessage) string {
	text := ""
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return strings.TrimSpace(string(value))
}
