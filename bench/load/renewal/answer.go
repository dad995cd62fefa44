package renewal

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxToken is the longest token that is carried: some servers' are signed and
// hold claims.
const maxToken = 8 << 10

// A reader of answers keeps its buffers. It is used by one goroutine.
type answers struct {
	decoder jsontext.Decoder
	source  bytes.Reader
	name    []byte
	access  []byte
	refresh []byte
	code    []byte
}

// renewed reads the answer to a renewal that was granted (RFC 6749 §5.1). The
// refresh token is valid until the next call; it is empty if the answer has
// none, so that the one that was sent stays good (§6). ok is false for an
// answer that is no such thing.
func (a *answers) renewed(body []byte) (refresh []byte, ok bool) {
	if a.read(body) != nil || !isSendable(a.access) || len(a.refresh) > 0 && !isSendable(a.refresh) {
		return nil, false
	}
	return a.refresh, true
}

// refused names a refusal by its status and the code in it: OAuth's "error"
// (RFC 6749 §5.2), or what other servers call it.
func (a *answers) refused(status int, body []byte) string {
	kind := strconv.Itoa(status)
	if a.read(body) == nil && isCode(a.code) {
		kind += " " + string(a.code)
	}
	return kind
}

// read takes the members that matter out of a JSON object. Names that come
// twice, and anything after the object, are errors.
func (a *answers) read(body []byte) error {
	a.access, a.refresh, a.code = a.access[:0], a.refresh[:0], a.code[:0]
	a.source.Reset(body)
	a.decoder.Reset(&a.source)
	if first, err := a.decoder.ReadToken(); err != nil || first.Kind() != '{' {
		return errors.Join(err, errors.New("no JSON object"))
	}
	best := len(codeNames)
	for a.decoder.PeekKind() == '"' {
		raw, err := a.decoder.ReadValue()
		if err == nil {
			a.name, err = jsontext.AppendUnquote(a.name[:0], raw)
		}
		if err != nil {
			return err
		}
		var value *[]byte
		switch string(a.name) {
		case "access_token":
			value = &a.access
		case "refresh_token":
			value = &a.refresh
		default:
			if rank := rankOf(a.name); rank < best && a.decoder.PeekKind() == '"' {
				best, value = rank, &a.code
			}
		}
		if raw, err = a.decoder.ReadValue(); err != nil {
			return err
		}
		if value != nil {
			if *value, err = jsontext.AppendUnquote((*value)[:0], raw); err != nil {
				return err
			}
		}
	}
	if _, err := a.decoder.ReadToken(); err != nil {
		return err
	}
	if _, err := a.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// codeNames are where servers put a code, the likeliest first.
var codeNames = []string{"error", "error_code", "code"}

func rankOf(name []byte) int {
	for i, n := range codeNames {
		if string(name) == n {
			return i
		}
	}
	return len(codeNames)
}

// isSendable says whether a token is one of OAuth's, visible ASCII and space
// (RFC 6749 §A.17).
func isSendable(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(text) > 0 && len(text) <= maxToken
}

// isCode keeps what is printed to short words, so that no answer puts a token
// or a terminal's commands there.
func isCode(text []byte) bool {
	for _, c := range text {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return len(text) > 0 && len(text) <= 40
}
