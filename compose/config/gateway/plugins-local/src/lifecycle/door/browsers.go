package door

import "net/http"

// isPreflight tells a browser whether pages of another origin may ask here, and whether this request
// is nothing but that question: https://fetch.spec.whatwg.org/#http-cors-protocol
//
// There are no credentials in the sense of that page: a key is sent by a program, never by itself.
func (d *door) isPreflight(rw http.ResponseWriter, req *http.Request) bool {
	if len(d.origins) == 0 {
		return false
	}
	headers := rw.Header()
	headers.Add("Vary", "Origin")
	origin := req.Header.Get("Origin")
	if origin == "" || !(d.origins[origin] || d.origins["*"]) {
		return false
	}
	if d.origins["*"] {
		origin = "*"
	}
	headers.Set("Access-Control-Allow-Origin", origin)
	headers.Set("Access-Control-Expose-Headers", "Retry-After")
	if req.Method != http.MethodOptions || req.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	headers.Add("Vary", "Access-Control-Request-Headers")
	headers.Set("Access-Control-Allow-Methods", "GET, POST")
	if asked := req.Header.Get("Access-Control-Request-Headers"); asked != "" {
		headers.Set("Access-Control-Allow-Headers", asked)
	}
	if req.Header.Get("Access-Control-Request-Private-Network") != "" {
		headers.Set("Access-Control-Allow-Private-Network", "true")
	}
	headers.Set("Access-Control-Max-Age", "600")
	return true
}
