// Package door is the gateway's front door, interpreted by Traefik: who may come in, what may be
// asked, and which model it is for.
//
// Our own, because no middleware of Traefik's reads a model's name out of a body or compares
// hashes of bearer keys. Standard library only: Traefik's interpreter brings nothing else.
package door

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// routeHeader carries the route to the child routers; what a client sends under it is dropped.
const routeHeader = "X-Gateway-Route"

// Client is a person with a key.
type Client struct {
	Name     string
	Sha256   string
	Rate     int
	InFlight int
}

// Model is what a client may ask for, and the route that leads to it.
type Model struct {
	ID     string
	Route  string
	Listed bool
}

// Config is what the rendered configuration says.
type Config struct {
	Clients []Client
	Models  []Model
	Paths   []string
	MaxBody int64
}

// CreateConfig is called by Traefik.
func CreateConfig() *Config {
	return &Config{}
}

type door struct {
	next    http.Handler
	clients []Client
	models  []Model
	routes  map[string]string
	paths   map[string]bool
	maxBody int64
}

// New is called by Traefik, anew at each change of the configuration.
func New(_ context.Context, next http.Handler, config *Config, _ string) (http.Handler, error) {
	if config.MaxBody <= 0 || len(config.Paths) == 0 {
		return nil, errors.New("the door needs maxBody and paths")
	}
	made := &door{
		next:    next,
		clients: config.Clients,
		models:  config.Models,
		routes:  map[string]string{},
		paths:   map[string]bool{},
		maxBody: config.MaxBody,
	}
	for _, model := range config.Models {
		made.routes[model.ID] = model.Route
	}
	for _, path := range config.Paths {
		made.paths[path] = true
	}
	return made, nil
}

func (d *door) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	answer := &reply{rw: rw, began: time.Now()}
	// After the answer: the log reads these headers, the client got his before.
	defer answer.tellLog()
	client := d.whoIs(req.Header)
	if client == nil {
		answer.refuse(unauthorized)
		return
	}
	answer.key = client.Name
	// As it was sent, but for letters written as %63, which Traefik resolves (RFC 3986, 6.2.2.2).
	// Not as it reads once it is decoded and tidied: other programs tidy in other ways.
	path, _, _ := strings.Cut(req.RequestURI, "?")
	if path == "/v1/models" || strings.HasPrefix(path, "/v1/models/") {
		name := strings.TrimPrefix(strings.TrimPrefix(path, "/v1/models"), "/")
		// OpenAI's client writes the slash in a name as %2F. It is looked up in a list, and goes nowhere.
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		d.listModels(answer, req, name)
		return
	}
	if !d.paths[path] {
		answer.refuse(unknownPath)
		return
	}
	if req.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		answer.refuse(wrongMethod)
		return
	}
	if wait := enter(client); wait > 0 {
		rw.Header().Set("Retry-After", strconv.Itoa(wait))
		answer.refuse(tooMany)
		return
	}
	defer leave(client)
	body, problem := d.read(rw, req)
	if problem != nil {
		answer.refuse(*problem)
		return
	}
	model, ok := modelIn(body)
	if !ok {
		answer.refuse(noModel)
		return
	}
	route, known := d.routes[model]
	if !known {
		answer.refuse(unknownModel(model))
		return
	}
	answer.model = model
	pass(req, path, body, route)
	d.next.ServeHTTP(answer, req)
}

// read takes the whole body: the model's name is in it, and another backend may need it again.
func (d *door) read(rw http.ResponseWriter, req *http.Request) ([]byte, *refusal) {
	if req.Header.Get("Content-Encoding") != "" {
		return nil, &encoded
	}
	if req.ContentLength > d.maxBody {
		return nil, d.drained(rw, req)
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, d.maxBody+1))
	if err != nil {
		rw.Header().Set("Connection", "close")
		return nil, &brokenBody
	}
	if int64(len(body)) > d.maxBody {
		return nil, d.drained(rw, req)
	}
	return body, nil
}

// drained lets a client that sends somewhat too much come to its end, so that it reads the answer
// and does not find its connection cut; whoever sends much more is cut off.
func (d *door) drained(rw http.ResponseWriter, req *http.Request) *refusal {
	_, _ = io.Copy(io.Discard, io.LimitReader(req.Body, d.maxBody))
	rw.Header().Set("Connection", "close")
	return &tooLarge
}

// modelIn reads the name as vLLM does: this very key, and the last one of several.
func modelIn(body []byte) (string, bool) {
	// Into a map: Go would take "MODEL" for a field called model, too.
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(body, &fields) != nil {
		return "", false
	}
	name := ""
	if json.Unmarshal(fields["model"], &name) != nil {
		return "", false
	}
	return name, name != ""
}

// kept are the headers that go on to a backend; the client's key is in none of them.
var kept = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Content-Type": true, "User-Agent": true,
	"X-Request-Id": true, "Traceparent": true, "Tracestate": true,
}

// pass makes the request what a backend should see of it.
func pass(req *http.Request, path string, body []byte, route string) {
	for name := range req.Header {
		if !kept[name] {
			req.Header.Del(name)
		}
	}
	req.Header.Set(routeHeader, route)
	req.URL.RawQuery = ""
	req.RequestURI = path
	// One line each: the interpreter cannot assign several nils at once.
	req.Trailer = nil
	req.TransferEncoding = nil
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.ContentLength = int64(len(body))
}
