package door

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusal is an error in OpenAI's shape: https://platform.openai.com/docs/guides/error-codes
type refusal struct {
	status  int
	kind    string
	code    string
	message string
}

var (
	unauthorized = refusal{401, "invalid_request_error", "invalid_api_key",
		"No key, or a wrong one. Send it as: Authorization: Bearer sk-..."}
	unknownPath = refusal{404, "invalid_request_error", "unknown_url", "There is nothing at this address."}
	wrongMethod = refusal{405, "invalid_request_error", "method_not_allowed", "This address takes another method."}
	encoded     = refusal{415, "invalid_request_error", "unsupported_encoding", "Send the body without compression."}
	tooLarge    = refusal{413, "invalid_request_error", "request_too_large", "The body is too large."}
	brokenBody  = refusal{400, "invalid_request_error", "broken_body", "The body ended too early, or took too long."}
	noModel     = refusal{400, "invalid_request_error", "missing_model",
		"The body must be a JSON object with the name of a model as \"model\"."}
	tooMany = refusal{429, "rate_limit_error", "rate_limit_exceeded",
		"Too many requests with this key. Try again later."}
	full = refusal{429, "rate_limit_error", "all_backends_full",
		"Every backend of this model is full. Try again later."}
	down = refusal{503, "server_error", "no_backend",
		"No backend of this model answers at the moment. Try again later."}
	lostBackend = refusal{502, "server_error", "bad_gateway", "The backend broke off, or refused the gateway."}
	late        = refusal{504, "server_error", "gateway_timeout", "The backend took too long."}
	failed      = refusal{500, "server_error", "internal_error", "The request failed."}
)

func unknownModel(name string) refusal {
	return refusal{404, "invalid_request_error", "model_not_found",
		fmt.Sprintf("The model %q does not exist. GET /v1/models lists those that do.", name)}
}

// ours are the answers after which another backend is asked: what comes out is of the last one, and
// the client should hear of all.
func ours(status int) bool {
	return status == 429 || (status >= 502 && status <= 504)
}

// instead says what stands for such an answer, and for one that is no JSON: Traefik's own, or a
// broken backend's.
func instead(status int) refusal {
	for _, known := range []refusal{unknownPath, full, down, lostBackend, late} {
		if known.status == status {
			return known
		}
	}
	other := failed
	other.status = status
	return other
}

// reply is the answer on its way: errors in one shape, and what the log should know.
type reply struct {
	rw       http.ResponseWriter
	began    time.Time
	first    time.Duration
	key      string
	model    string
	begun    bool
	replaced bool
	streamed bool
}

func (r *reply) Header() http.Header {
	return r.rw.Header()
}

func (r *reply) WriteHeader(status int) {
	if r.begun {
		return
	}
	if status >= 100 && status < 200 {
		r.rw.WriteHeader(status)
		return
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		// The client's key was good: this one is about the gateway's own.
		r.refuse(lostBackend)
		return
	}
	if ours(status) || (status >= 400 && !r.isJSON()) {
		r.refuse(instead(status))
		return
	}
	r.begun = true
	r.streamed = r.rw.Header().Get("Content-Length") == ""
	r.rw.WriteHeader(status)
	r.flush()
}

func (r *reply) isJSON() bool {
	return strings.HasPrefix(r.rw.Header().Get("Content-Type"), "application/json")
}

func (r *reply) Write(piece []byte) (int, error) {
	if !r.begun {
		r.WriteHeader(http.StatusOK)
	}
	if r.replaced {
		return len(piece), nil
	}
	if r.first == 0 {
		r.first = time.Since(r.began)
	}
	written, err := r.rw.Write(piece)
	r.flush()
	return written, err
}

// flush lets each piece of a stream go at once. Nobody else does: of an interpreted writer, Traefik
// sees the three methods of http.ResponseWriter and no Flush.
func (r *reply) flush() {
	if flusher, ok := r.rw.(http.Flusher); ok && r.streamed {
		flusher.Flush()
	}
}

func (r *reply) refuse(why refusal) {
	r.begun, r.replaced = true, true
	headers := r.rw.Header()
	headers.Del("Content-Length")
	headers.Del("Content-Encoding")
	headers.Set("Content-Type", "application/json")
	if (why.status == 429 || why.status == 503) && headers.Get("Retry-After") == "" {
		headers.Set("Retry-After", "1")
	}
	if why.status == 401 {
		headers.Set("WWW-Authenticate", "Bearer")
	}
	body, _ := json.Marshal(map[string]interface{}{"error": map[string]interface{}{
		"message": why.message, "type": why.kind, "param": nil, "code": why.code,
	}})
	r.rw.WriteHeader(why.status)
	r.first = time.Since(r.began)
	_, _ = r.rw.Write(body)
}

func (r *reply) tellLog() {
	headers := r.rw.Header()
	headers.Set("Gateway-Key", r.key)
	headers.Set("Gateway-Model", r.model)
	headers.Set("Gateway-First-Byte-Ms", strconv.FormatInt(r.first.Milliseconds(), 10))
}

// listModels answers for all backends: what each serves, whether it answers just now or not.
func (d *door) listModels(answer *reply, req *http.Request, name string) {
	if req.Method != http.MethodGet {
		answer.rw.Header().Set("Allow", http.MethodGet)
		answer.refuse(wrongMethod)
		return
	}
	list := []map[string]interface{}{}
	for _, model := range d.models {
		entry := map[string]interface{}{
			"id": model.ID, "object": "model", "created": 0, "owned_by": "vllm",
		}
		if model.Listed && model.ID == name {
			answer.sendJSON(entry)
			return
		}
		if model.Listed {
			list = append(list, entry)
		}
	}
	if name != "" {
		answer.refuse(unknownModel(name))
		return
	}
	answer.sendJSON(map[string]interface{}{"object": "list", "data": list})
}

func (r *reply) sendJSON(body interface{}) {
	text, _ := json.Marshal(body)
	r.Header().Set("Content-Type", "application/json")
	r.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = r.Write(text)
}
