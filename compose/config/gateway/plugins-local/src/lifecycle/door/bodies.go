package door

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// expected is how many bytes a body may take; the most there can be where nothing is said of it.
func (d *door) expected(req *http.Request) int64 {
	if req.ContentLength < 0 || req.ContentLength > d.config.MaxBody {
		return d.config.MaxBody
	}
	return req.ContentLength
}

// read takes the whole body: the model's name is in it, and another backend may need it again.
// What comes out is UTF-8, as a backend reads it, or a form.
func (d *door) read(rw http.ResponseWriter, req *http.Request) ([]byte, *refusal) {
	coding := req.Header.Get("Content-Encoding")
	if coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, &encoded
	}
	if req.ContentLength > d.config.MaxBody {
		return nil, d.drained(rw, req)
	}
	buffer := &bytes.Buffer{}
	if req.ContentLength > 0 {
		// With the room that ReadFrom wants at the end: it is never copied into a larger one.
		buffer.Grow(int(req.ContentLength) + bytes.MinRead)
	}
	if _, err := buffer.ReadFrom(io.LimitReader(req.Body, d.config.MaxBody+1)); err != nil {
		rw.Header().Set("Connection", "close")
		return nil, &brokenBody
	}
	body := buffer.Bytes()
	if int64(len(body)) > d.config.MaxBody {
		return nil, d.drained(rw, req)
	}
	if _, form := boundary(req.Header.Get("Content-Type")); form {
		return body, nil
	}
	body = plain(body)
	if !utf8.Valid(body) {
		return nil, &notUTF8
	}
	return body, nil
}

// drained lets a client that sends somewhat too much come to its end, so that it reads the answer
// and does not find its connection cut; whoever sends much more is cut off.
func (d *door) drained(rw http.ResponseWriter, req *http.Request) *refusal {
	_, _ = io.Copy(io.Discard, io.LimitReader(req.Body, d.config.MaxBody))
	rw.Header().Set("Connection", "close")
	return &tooLarge
}

var (
	markUTF8 = []byte{0xEF, 0xBB, 0xBF}
	markLE   = []byte{0xFF, 0xFE}
	markBE   = []byte{0xFE, 0xFF}
)

// plain takes the mark of Windows' editors away, and makes UTF-8 of UTF-16: vLLM reads both, too.
func plain(body []byte) []byte {
	if bytes.HasPrefix(body, markUTF8) {
		return body[len(markUTF8):]
	}
	// JSON begins with a character of ASCII (RFC 4627, 3): the empty half of it tells the order.
	if bytes.HasPrefix(body, markLE) || (len(body) > 1 && body[0] != 0 && body[1] == 0) {
		return fromUTF16(body, binary.LittleEndian)
	}
	if bytes.HasPrefix(body, markBE) || (len(body) > 1 && body[0] == 0 && body[1] != 0) {
		return fromUTF16(body, binary.BigEndian)
	}
	return body
}

func fromUTF16(body []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(body)/2)
	if binary.Read(bytes.NewReader(body), order, units) != nil {
		return body
	}
	return []byte(strings.TrimPrefix(string(utf16.Decode(units)), "\uFEFF"))
}

// boundary is what stands between the fields of a form: sound comes in one.
func boundary(contentType string) (string, bool) {
	kind, options, err := mime.ParseMediaType(contentType)
	return options["boundary"], err == nil && kind == "multipart/form-data"
}

// modelIn reads the name as vLLM does: this very key, and the last one of several; "" when there is
// none, or it is null.
func modelIn(body []byte, contentType string) (string, *refusal) {
	if between, form := boundary(contentType); form {
		return modelInForm(body, between)
	}
	// Into a map: Go would take "MODEL" for a field called model, too.
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &fields); err != nil {
		return "", notRead(err)
	}
	if fields == nil {
		return "", &noObject
	}
	if len(fields["model"]) == 0 {
		return "", nil
	}
	name := ""
	if json.Unmarshal(fields["model"], &name) != nil {
		return "", &wrongModel
	}
	return name, nil
}

// notRead says what is wrong with a body, and where. The words are Go's, and quote one character.
func notRead(err error) *refusal {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return &noObject
	}
	why := notJSON
	why.message = fmt.Sprintf("The body is not valid JSON: %s, at byte %d.", syntax.Error(), syntax.Offset)
	return &why
}

// modelInForm reads the field of that name; the file beside it may come before or after it.
func modelInForm(body []byte, between string) (string, *refusal) {
	fields := multipart.NewReader(bytes.NewReader(body), between)
	name := ""
	for {
		field, err := fields.NextPart()
		if err == io.EOF {
			return name, nil
		}
		if err != nil {
			return "", &notForm
		}
		if field.FormName() == "model" && field.FileName() == "" {
			text, _ := io.ReadAll(io.LimitReader(field, 1024))
			name = string(text)
		}
	}
}
