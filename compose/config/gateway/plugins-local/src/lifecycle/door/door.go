// Package door is the gateway's front door, interpreted by Traefik: who may come in, what may be
// asked, and which backends are asked for it, in which order.
//
// Our own, because no middleware of Traefik's reads a model's name out of a body, compares hashes of
// bearer keys, or tells a backend that is full from one that is gone. Standard library only:
// Traefik's interpreter brings nothing else.
package door

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client is a person with a key.
type Client struct {
	Name     string
	Sha256   string
	Rate     int
	InFlight int
}

// Backend is a server behind the gateway. Cap says how many requests at once it gets while others
// have room; two routes lead to it, one that Traefik closes while it misses its checks.
type Backend struct {
	Name    string
	Cap     int
	Checked string
	Always  string
}

// Model is what a client may ask for: the backends that take turns, and those after them, by name.
type Model struct {
	ID        string
	First     []string
	Then      []string
	MaxLength int
}

// Config is what the rendered configuration says.
type Config struct {
	Clients   []Client
	Backends  []Backend
	Models    []Model
	Paths     []string
	Origins   []string
	MaxBody   int64
	KeyBytes  int64
	KeyAtOnce int
}

// CreateConfig is called by Traefik.
func CreateConfig() *Config {
	return &Config{}
}

type door struct {
	next     http.Handler
	config   *Config
	backends map[string]Backend
	models   map[string]Model
	paths    map[string]bool
	origins  map[string]bool
	made     int64
}

// New is called by Traefik, anew at each change of the configuration.
func New(_ context.Context, next http.Handler, config *Config, _ string) (http.Handler, error) {
	if config.MaxBody <= 0 || len(config.Paths) == 0 {
		return nil, errors.New("the door needs maxBody and paths")
	}
	made := &door{
		next:     next,
		config:   config,
		backends: map[string]Backend{},
		models:   map[string]Model{},
		paths:    map[string]bool{},
		origins:  map[string]bool{},
		made:     time.Now().Unix(),
	}
	for _, backend := range config.Backends {
		made.backends[backend.Name] = backend
	}
	for _, model := range config.Models {
		made.models[model.ID] = model
	}
	for _, path := range config.Paths {
		made.paths[path] = true
	}
	for _, origin := range config.Origins {
		made.origins[origin] = true
	}
	openOnce.Do(open)
	return made, nil
}

func (d *door) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	path := pathOf(req)
	answer := &reply{rw: rw, began: time.Now(), anthropic: strings.HasPrefix(path, "/v1/messages")}
	// After the answer: the log reads these headers, the client got his before.
	defer answer.tellLog()
	for _, name := range told {
		// What a client sends by these names would stand in the log as well.
		req.Header.Del(name)
	}
	if d.isPreflight(rw, req) {
		rw.WriteHeader(http.StatusNoContent)
		return
	}
	if path == "/health" && (req.Method == http.MethodGet || req.Method == http.MethodHead) {
		answer.send(http.StatusOK, "text/plain; charset=utf-8", []byte("up\n"))
		return
	}
	client := d.whoIs(req.Header)
	if client == nil {
		answer.refuse(unauthorized)
		return
	}
	answer.key = client.Name
	if path == "/v1/models" || strings.HasPrefix(path, "/v1/models/") {
		d.listModels(answer, req, strings.TrimPrefix(strings.TrimPrefix(path, "/v1/models"), "/"))
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
	if wait := enter(client, d.config.KeyAtOnce); wait > 0 {
		rw.Header().Set("Retry-After", strconv.Itoa(wait))
		answer.refuse(tooMany)
		return
	}
	defer leave(client)
	d.generate(answer, req, client, path)
}

// generate reads the body, and has the backends of its model answer.
func (d *door) generate(answer *reply, req *http.Request, client *Client, path string) {
	hold := d.expected(req)
	if !reserve(client, hold, d.config.KeyBytes) {
		answer.refuse(tooMuch)
		return
	}
	defer func() { release(client, hold) }()
	body, problem := d.read(answer.rw, req)
	if problem != nil {
		answer.refuse(*problem)
		return
	}
	release(client, hold-int64(len(body)))
	hold = int64(len(body))
	name, problem := modelIn(body, req.Header.Get("Content-Type"))
	if problem != nil {
		answer.refuse(*problem)
		return
	}
	model, known := d.models[name]
	if name == "" {
		model, known = d.onlyOne()
	}
	if !known && name == "" {
		answer.refuse(noModel)
		return
	}
	if !known {
		answer.refuse(unknownModel(name))
		return
	}
	answer.model = model.ID
	d.ask(answer, &question{req: req, path: path, body: body, headers: passed(req.Header)}, model)
}

// onlyOne is the model of who names none: vLLM takes the one it has, and so does the gateway where
// the same backends serve all there is. They choose among several names of theirs.
func (d *door) onlyOne() (Model, bool) {
	if len(d.config.Models) == 0 {
		return Model{}, false
	}
	first := d.config.Models[0]
	for _, model := range d.config.Models {
		if strings.Join(model.First, " ")+"|"+strings.Join(model.Then, " ") !=
			strings.Join(first.First, " ")+"|"+strings.Join(first.Then, " ") {
			return Model{}, false
		}
	}
	return first, true
}

// pathOf is the address as it was sent, but for letters written as %63, which Traefik resolves
// (RFC 3986, 6.2.2.2). Not as it reads once it is decoded and tidied: other programs tidy in other
// ways. A proxy's form of the address (RFC 9112, 3.2.2) is cut to its path.
func pathOf(req *http.Request) string {
	path, _, _ := strings.Cut(req.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		if parsed, err := url.Parse(path); err == nil && parsed.Host != "" {
			path = parsed.EscapedPath()
		}
	}
	return path
}
