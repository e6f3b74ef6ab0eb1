package door

import (
	"encoding/json"
	"fmt"
)

// refusal is an error; kind and code are OpenAI's: https://platform.openai.com/docs/guides/error-codes
type refusal struct {
	status  int
	kind    string
	code    string
	message string
}

const invalid = "invalid_request_error"

var (
	unauthorized = refusal{401, invalid, "invalid_api_key",
		"No key, or a wrong one. Send it as: Authorization: Bearer sk-..."}
	unknownPath = refusal{404, invalid, "unknown_url", "There is nothing at this address."}
	wrongMethod = refusal{405, invalid, "method_not_allowed", "This address takes another method."}
	encoded     = refusal{415, invalid, "unsupported_encoding", "Send the body without compression."}
	tooLarge    = refusal{413, invalid, "request_too_large", "The body is too large."}
	brokenBody  = refusal{400, invalid, "broken_body", "The body ended too early, or took too long."}
	notUTF8     = refusal{400, invalid, "invalid_encoding", "The body is not valid UTF-8."}
	notJSON     = refusal{400, invalid, "invalid_json", "The body is not valid JSON."}
	noObject    = refusal{400, invalid, "invalid_json", "The body must be a JSON object: {...}."}
	notForm     = refusal{400, invalid, "invalid_form", "The body is not the form that it calls itself."}
	wrongModel  = refusal{400, invalid, "invalid_model", "\"model\" must be a text."}
	noModel     = refusal{400, invalid, "missing_model",
		"The body does not name a model, and there are several. GET /v1/models lists them."}
	tooMany = refusal{429, "rate_limit_error", "rate_limit_exceeded",
		"Too many requests with this key. Try again later."}
	tooMuch = refusal{429, "rate_limit_error", "too_many_bytes",
		"The bodies of this key's requests are too large together. Try again later."}
	full = refusal{429, "rate_limit_error", "all_backends_full",
		"Every backend of this model refuses for now. Try again later."}
	down = refusal{503, "server_error", "no_backend",
		"No backend of this model answers at the moment. Try again later."}
	lostBackend = refusal{502, "server_error", "bad_gateway", "The backend broke off, or refused the gateway."}
	late        = refusal{504, "server_error", "gateway_timeout", "The backend took too long."}
	failed      = refusal{500, "server_error", "internal_error", "The request failed."}
)

func unknownModel(name string) refusal {
	return refusal{404, invalid, "model_not_found",
		fmt.Sprintf("The model %q does not exist. GET /v1/models lists those that do.", name)}
}

// ours are the answers after which another backend is asked: what comes out is of the last one, and
// the client should hear of all.
func ours(status int) bool {
	return status == 429 || (status >= 502 && status <= 504)
}

// instead says what stands for such an answer, and for one in no shape that is known.
func instead(status int) refusal {
	for _, known := range []refusal{unknownPath, wrongMethod, full, down, lostBackend, late} {
		if known.status == status {
			return known
		}
	}
	other := failed
	other.status = status
	if status < 500 {
		other.kind, other.code = invalid, "backend_refused"
	}
	return other
}

// kinds are Anthropic's: https://docs.anthropic.com/en/api/errors
var kinds = map[int]string{
	401: "authentication_error", 404: "not_found_error", 413: "request_too_large",
	429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error",
}

// text is the body of an error, in the shape of the API that was called.
func (r refusal) text(anthropic bool) []byte {
	var body []byte
	if anthropic {
		kind := kinds[r.status]
		if kind == "" && r.status < 500 {
			kind = invalid
		}
		if kind == "" {
			kind = "api_error"
		}
		body, _ = json.Marshal(map[string]interface{}{
			"type": "error", "error": map[string]interface{}{"type": kind, "message": r.message},
		})
		return body
	}
	body, _ = json.Marshal(map[string]interface{}{"error": map[string]interface{}{
		"message": r.message, "type": r.kind, "param": nil, "code": r.code,
	}})
	return body
}
