package proxytest

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
)

// Frames and flags of HTTP/2 (RFC 9113 §6).
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	frameGoAway   = 0x7
	endStream     = 0x1
	endHeaders    = 0x4
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	out = append(out, flags)
	out = binary.BigEndian.AppendUint32(out, stream)
	return append(out, payload...)
}

// field writes a header field as it stands, whatever is in it: a literal
// without indexing, name and value without Huffman coding (RFC 7541 §6.2.2).
func field(out []byte, name, value string) []byte {
	out = append(out, 0)
	for _, text := range []string{name, value} {
		if n := len(text); n < 127 {
			out = append(out, byte(n))
		} else {
			out = append(out, 127)
			out = binary.AppendUvarint(out, uint64(n-127))
		}
		out = append(out, text...)
	}
	return out
}

// What a client can write in HTTP/2 becomes nothing else in HTTP/1.1 behind
// the proxy.
//
// Rows: 67, A86
func TestHTTP2IsNotDowngradedIntoSomethingElse(t *testing.T) {
	w := newWorld(t)
	access, _ := w.signIn()
	_, cookie, _ := strings.Cut(access, ": ")
	reached := 0
	for name, c := range map[string]struct {
		pseudo [][2]string // replaces one of the same name, the first time
		fields [][2]string
		body   string
	}{
		"as it should be":             {},
		"identity":                    {fields: [][2]string{{"x-auth-user", "evil"}, {"x_auth_user", "evil"}}},
		"name in upper case":          {fields: [][2]string{{"X-Auth-User", "evil"}}},
		"line end in a value":         {fields: [][2]string{{"x", "a\r\nX-Auth-User: evil"}}},
		"LF in a value":               {fields: [][2]string{{"x", "a\nX-Auth-User: evil"}}},
		"line end in a name":          {fields: [][2]string{{"x: a\r\nx-auth-user", "evil"}}},
		"colon in a name":             {fields: [][2]string{{"x-auth-user:", "evil"}}},
		"space in a name":             {fields: [][2]string{{"x-auth-user ", "evil"}}},
		"a whole request in a value":  {fields: [][2]string{{"x", "a\r\n\r\n" + smuggled}}},
		"request line in the path":    {pseudo: [][2]string{{":path", "/smuggled HTTP/1.1\r\nX-Auth-User: evil\r\nX: "}}},
		"space in the path":           {pseudo: [][2]string{{":path", "/ HTTP/1.1 /smuggled"}}},
		"path elsewhere":              {pseudo: [][2]string{{":path", "https://evil.example/smuggled"}}},
		"request line in the method":  {pseudo: [][2]string{{":method", "GET /smuggled HTTP/1.1\r\nX: "}}},
		"request in the authority":    {pseudo: [][2]string{{":authority", host + "\r\nX-Auth-User: evil"}}},
		"request in the scheme":       {pseudo: [][2]string{{":scheme", "https://evil.example/smuggled?"}}},
		"another authority":           {pseudo: [][2]string{{":authority", "evil.example"}}},
		"another host":                {fields: [][2]string{{"host", "evil.example"}}},
		"two paths":                   {fields: [][2]string{{":path", "/smuggled"}}},
		"transfer-encoding":           {fields: [][2]string{{"transfer-encoding", "chunked"}}, body: "0\r\n\r\n" + smuggled},
		"transfer-encoding and more":  {fields: [][2]string{{"transfer-encoding", "chunked"}, {"content-length", "0"}}, body: "0\r\n\r\n" + smuggled},
		"a length that is too short":  {fields: [][2]string{{"content-length", "0"}}, body: smuggled},
		"a length that is too long":   {fields: [][2]string{{"content-length", "500"}}, body: smuggled},
		"two lengths":                 {fields: [][2]string{{"content-length", "0"}, {"content-length", "4"}}, body: "body"},
		"connection":                  {fields: [][2]string{{"connection", "x-auth-user"}, {"keep-alive", "1"}}},
		"upgrade":                     {fields: [][2]string{{"connection", "upgrade"}, {"upgrade", "h2c"}}},
		"method override":             {fields: [][2]string{{"x-forwarded-method", "GET"}, {"x-http-method-override", "DELETE"}}},
		"identity in the trailer, so": {fields: [][2]string{{"te", "trailers"}, {"trailer", "x-auth-user"}}, body: "x"},
	} {
		w.app.take()
		w.speakHTTP2(cookie, c.pseudo, c.fields, c.body)
		seen, raw := w.app.take()
		reached += len(seen)
		w.checkReached(name, seen, raw)
		if name == "as it should be" && len(seen) != 1 {
			t.Errorf("%s: it did not reach the application", name)
		}
	}
	if reached < 3 {
		t.Errorf("only %d requests reached the application; the corpus is not what it says", reached)
	}
}

// speakHTTP2 sends one request and reads until it is answered, refused, or the
// connection is.
func (w *world) speakHTTP2(cookie string, pseudo, fields [][2]string, body string) {
	w.t.Helper()
	c := w.dial("h2")
	defer c.Close()
	if c.ConnectionState().NegotiatedProtocol != "h2" {
		w.t.Fatal("nginx does not speak HTTP/2")
	}
	var block []byte
	method := "GET"
	if body != "" {
		method = "POST"
	}
	for _, p := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", host}, {":path", "/"}} {
		for _, other := range pseudo {
			if other[0] == p[0] {
				p = other
			}
		}
		block = field(block, p[0], p[1])
	}
	for _, f := range append([][2]string{{"cookie", cookie}, {"origin", origin}}, fields...) {
		block = field(block, f[0], f[1])
	}
	out := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, nil)...)
	flags := byte(endHeaders)
	if body == "" {
		flags |= endStream
	}
	out = append(out, frame(frameHeaders, flags, 1, block)...)
	if body != "" {
		out = append(out, frame(frameData, endStream, 1, []byte(body))...)
	}
	if _, err := c.Write(out); err != nil {
		return
	}
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(head) >> 8
		if _, err := io.CopyN(io.Discard, c, int64(length)); err != nil {
			return
		}
		kind, flags := head[3], head[4]
		if kind == frameReset || kind == frameGoAway || (kind == frameData || kind == frameHeaders) && flags&endStream != 0 {
			return
		}
	}
}
