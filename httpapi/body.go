package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// maxBody bounds a request's body, in bytes. It has room for the longest
// password ([account.MaxPasswordBytes]) with every byte escaped.
const maxBody = 8 << 10

// checkMediaType refuses a body of any other type than those declared, so
// that what a form on another site can send is never taken for JSON, and a
// body that is compressed.
func checkMediaType(r *http.Request, want ...string) error {
	lines := r.Header["Content-Type"]
	if len(lines) != 1 || len(r.Header["Content-Encoding"]) > 0 {
		return ErrMediaType
	}
	media, params, err := mime.ParseMediaType(lines[0])
	if err != nil || !slices.Contains(want, media) {
		return ErrMediaType
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return ErrMediaType
		}
	}
	return nil
}

// bound bounds the body of a request. One that says that it is longer is not
// read at all.
func bound(w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return errTooLarge
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return nil
}

// ReadJSON fills v with the one object of at most limit bytes that the body of
// a request must be, as strictly as the routes here. The error, if any, is for
// [Describe] or [ProblemOf].
func ReadJSON(w http.ResponseWriter, r *http.Request, v any, limit int64) error {
	if err := checkMediaType(r, jsonBody); err != nil {
		return err
	}
	if err := bound(w, r, limit); err != nil {
		return err
	}
	return readJSON(r, v)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, ErrBody // it broke off
	}
	return body, nil
}

// readJSON fills v with the one object of the body. Duplicate names, names in
// another case, unknown names, invalid UTF-8, trailing data and values of the
// wrong type are refused. The decoder's error may quote the body, so it stays
// here.
func readJSON(r *http.Request, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, v, json.RejectUnknownMembers(true)) != nil {
		return ErrBody
	}
	return nil
}

// readForm reads OAuth parameters from the body, never from the query
// (RFC 6749 §3.2: repeated ones are refused, empty ones are as if not sent).
func readForm(r *http.Request) (map[string]string, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, ErrBody
	}
	form := make(map[string]string, len(values))
	for name, list := range values {
		if len(list) > 1 {
			return nil, errRepeated
		}
		form[name] = list[0]
	}
	return form, nil
}

const idempotencyHeader = "Idempotency-Key"

// idempotencyKey reads the key that a client keeps across the retries of one
// attempt: 1 to 255 visible ASCII characters, or none at all.
func idempotencyKey(r *http.Request) (string, error) {
	lines := r.Header[idempotencyHeader]
	if len(lines) == 0 {
		return "", nil
	}
	if len(lines) > 1 || !validIdempotencyKey(lines[0]) {
		return "", errIdempotencyKey
	}
	return lines[0], nil
}

func validIdempotencyKey(key string) bool {
	notVisible := func(c rune) bool { return c <= ' ' || c > '~' }
	return key != "" && len(key) <= 255 && !strings.ContainsFunc(key, notVisible)
}

// writeJSON answers with a document. It is encoded before anything is
// written, so that a failure can still be answered.
func writeJSON(w http.ResponseWriter, body []byte) error {
	w.Header().Set("Content-Type", jsonBody)
	w.WriteHeader(http.StatusOK)
	w.Write(body) // who has gone away needs no answer
	return nil
}
