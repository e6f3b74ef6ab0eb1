package door

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
)

// routeHeader carries the route to the child routers; what a client sends under it is dropped.
const routeHeader = "X-Gateway-Route"

// mostLost is after how many backends that took a request and broke off nobody is asked any more: it
// may be the request that breaks them.
const mostLost = 3

// kept are the headers that go on to a backend; the client's key is in none of them.
var kept = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Content-Type": true, "User-Agent": true,
	"X-Request-Id": true, "Traceparent": true, "Tracestate": true,
	"Anthropic-Version": true, "Anthropic-Beta": true,
}

// passed is what a backend should see of a client's headers.
func passed(sent http.Header) http.Header {
	headers := http.Header{}
	for name, values := range sent {
		if kept[name] {
			headers[name] = values
		}
	}
	return headers
}

// question is a request that may be put to several backends, one after the other.
type question struct {
	req     *http.Request
	path    string
	body    []byte
	headers http.Header
}

// to makes the request anew: whoever had it before has written into its headers.
func (q *question) to(route string, trace *httptrace.ClientTrace) *http.Request {
	made := q.req.Clone(httptrace.WithClientTrace(q.req.Context(), trace))
	made.Header = q.headers.Clone()
	made.Header.Set(routeHeader, route)
	made.URL.RawQuery = ""
	made.RequestURI = q.path
	// One line each: the interpreter cannot assign several nils at once.
	made.Trailer = nil
	made.TransferEncoding = nil
	made.Body = io.NopCloser(bytes.NewReader(q.body))
	made.ContentLength = int64(len(q.body))
	return made
}

// ask puts a question to the backends of a model until one answers.
//
// A cap says where to go, and is no wall: first those with room, in order; then those that are full,
// which queue it as they would for anybody; last those that miss their checks, for a busy one and a
// dead one look alike from afar. None gets the same question twice.
func (d *door) ask(answer *reply, what *question, model Model) {
	order := turn(model)
	full := []Backend{}
	out := []Backend{}
	last := http.StatusServiceUnavailable
	lost := 0
	for round := 0; round < 3; round++ {
		some := full
		if round == 0 {
			some = d.named(order)
		}
		if round == 2 {
			some = out
		}
		for _, backend := range some {
			if !take(backend, round > 0) {
				full = append(full, backend)
				continue
			}
			route := backend.Checked
			if round == 2 {
				route = backend.Always
			}
			try := d.try(answer, what, backend, route)
			if try.done || what.req.Context().Err() != nil {
				return
			}
			if !try.reached {
				out = append(out, backend)
				continue
			}
			last = try.status
			if try.status == http.StatusBadGateway {
				lost++
			}
			if lost == mostLost {
				answer.refuse(instead(last))
				return
			}
		}
	}
	answer.refuse(instead(last))
}

// try puts it to one backend; the answer goes to the client unless another one should be asked.
func (d *door) try(answer *reply, what *question, backend Backend, route string) *attempt {
	defer give(backend)
	try := &attempt{answer: answer, headers: http.Header{}}
	// The interpreter mixes up the arguments of a function that leaves them without a name.
	trace := &httptrace.ClientTrace{GotConn: func(_ httptrace.GotConnInfo) { try.reached = true }}
	d.next.ServeHTTP(try, what.to(route, trace))
	try.end()
	return try
}

func (d *door) named(names []string) []Backend {
	some := []Backend{}
	for _, name := range names {
		some = append(some, d.backends[name])
	}
	return some
}

// Outside of the door, as the clients' counts.
var (
	taken = map[string]int{}
	turns = map[string]int{}
)

// turn is the order of this request: those of the best tier take turns in being first.
func turn(model Model) []string {
	guard.Lock()
	defer guard.Unlock()
	order := []string{}
	if count := len(model.First); count > 0 {
		start := turns[model.ID] % count
		turns[model.ID] = start + 1
		order = append(order, model.First[start:]...)
		order = append(order, model.First[:start]...)
	}
	return append(order, model.Then...)
}

// take counts a request in at a backend; not when that is full, unless it must.
func take(backend Backend, must bool) bool {
	guard.Lock()
	defer guard.Unlock()
	if taken[backend.Name] >= backend.Cap && !must {
		return false
	}
	taken[backend.Name]++
	return true
}

// give counts it out.
func give(backend Backend) {
	guard.Lock()
	defer guard.Unlock()
	taken[backend.Name]--
}
