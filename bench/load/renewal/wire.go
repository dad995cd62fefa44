package renewal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Bounds of an answer.
const (
	maxLine    = 8 << 10
	maxFields  = 100
	maxBody    = 1 << 20
	maxInterim = 5
	maxBackOff = time.Minute // of what Retry-After asks
)

// A loss is why an exchange brought no answer: what was sent may or may not
// have been done.
type loss string

func (l loss) Error() string { return string(l) }

// The kinds of loss, as results name them.
const (
	lostDial       loss = "no connection"
	lostClosed     loss = "connection closed before the answer"
	lostCut        loss = "connection closed within the answer"
	lostTimeout    loss = "no answer in time"
	lostUnreadable loss = "unreadable answer"
)

// A dialer makes connections; net.Dialer has the method.
type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

var plainDialer = &net.Dialer{}

// A wire is one connection at a time to one of its targets, kept alive. It is
// used by one goroutine.
type wire struct {
	targets []*Target
	now     int // which of them
	dialer  dialer
	timeout time.Duration

	conn net.Conn // nil: none is open
	in   *bufio.Reader
	out  []byte

	// Of the last answer; body is valid until the next exchange.
	status     int
	retryAfter time.Duration // 0: none was asked
	body       []byte
	last       bool // the server closes the connection after it
}

func newWire(targets []*Target, first int, d dialer, timeout time.Duration) *wire {
	return &wire{targets: targets, now: first % len(targets), dialer: d, timeout: timeout, in: bufio.NewReaderSize(nil, maxLine)}
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// exchange posts a body and reads the answer. All of it must happen within the
// timeout. fields are header fields, each ended. Every error is a loss, after
// which the connection is closed and the next exchange goes to the next target.
func (w *wire) exchange(fields, body []byte) error {
	err := w.try(fields, body)
	if err != nil || w.last {
		w.close()
	}
	if err == nil {
		return nil
	}
	w.now = (w.now + 1) % len(w.targets)
	if l, ok := errors.AsType[loss](err); ok {
		return l
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return lostTimeout
	}
	return lostCut
}

func (w *wire) try(fields, body []byte) error {
	t, deadline := w.targets[w.now], time.Now().Add(w.timeout)
	if w.conn == nil {
		if err := w.dial(t, deadline); err != nil {
			return lostDial
		}
	}
	if err := w.conn.SetDeadline(deadline); err != nil {
		return lostClosed
	}
	w.out = append(append(append(w.out[:0], "POST "...), t.path...), " HTTP/1.1\r\nHost: "...)
	w.out = append(append(append(w.out, t.Host...), "\r\n"...), fields...)
	w.out = strconv.AppendInt(append(w.out, "Content-Length: "...), int64(len(body)), 10)
	w.out = append(append(w.out, "\r\n\r\n"...), body...)
	if _, err := w.conn.Write(w.out); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return lostTimeout
	}
	// A server that answers early and closes fails the write, but not the
	// answer: read it in any case.
	if _, err := w.in.Peek(1); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return lostTimeout
		}
		return lostClosed
	}
	if err := w.readHead(); err != nil {
		return err
	}
	if w.in.Buffered() > 0 { // more than the answer
		return lostUnreadable
	}
	return nil
}

func (w *wire) dial(t *Target, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	conn, err := w.dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return err
	}
	if t.tls != nil {
		secure := tls.Client(conn, t.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return err
		}
		conn = secure
	}
	w.conn = conn
	w.in.Reset(conn)
	return nil
}

// readHead reads the answer (RFC 9112 §4 to §7), after interim ones, which say
// nothing here (RFC 9110 §15.2).
func (w *wire) readHead() error {
	for range maxInterim {
		if err := w.readStatus(); err != nil {
			return err
		}
		size, chunked, err := w.readFields()
		if err != nil {
			return err
		}
		switch {
		case w.status == 101: // nothing was asked to be switched to
			return lostUnreadable
		case w.status < 200:
			continue
		case w.status == 204 || w.status == 304: // have no body (RFC 9112 §6.3)
			w.body = w.body[:0]
			return nil
		case chunked:
			return w.readChunks()
		case size < 0: // the body would end with the connection, so that a cut one looks whole
			return lostUnreadable
		}
		w.body = w.body[:0]
		return w.readPart(size)
	}
	return lostUnreadable
}

// readLine returns a line without its end, valid until the next read.
func (w *wire) readLine() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, lostUnreadable
	}
	if err != nil {
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, lostUnreadable
	}
	return line, nil
}

// readStatus wants HTTP/1.1, three digits and a space (RFC 9112 §4).
func (w *wire) readStatus() error {
	line, err := w.readLine()
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 4 || rest[3] != ' ' || !isFieldValue(rest[4:]) {
		return lostUnreadable
	}
	w.status, ok = decimal(rest[:3])
	if !ok || w.status < 100 {
		return lostUnreadable
	}
	return nil
}

// readFields reads header fields to the empty line. size is -1 if none was
// said. Length and chunks together, or any of both twice, are refused: who
// disagrees about where an answer ends takes part of one for another (RFC 9112
// §6.3, §11.2).
func (w *wire) readFields() (size int, chunked bool, err error) {
	size, w.retryAfter, w.last = -1, 0, false
	for range maxFields {
		line, err := w.readLine()
		if err != nil {
			return 0, false, err
		}
		if len(line) == 0 {
			if chunked && size >= 0 {
				return 0, false, lostUnreadable
			}
			return size, chunked, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		if !ok || !isToken(name) || !isFieldValue(value) {
			return 0, false, lostUnreadable
		}
		switch len(name) { // bytes.EqualFold on every field would cost more than the rest
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				if n, ok := decimal(value); ok && size < 0 && n <= maxBody {
					size = n
				} else {
					return 0, false, lostUnreadable
				}
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				if chunked || !bytes.EqualFold(value, []byte("chunked")) {
					return 0, false, lostUnreadable
				}
				chunked = true
			}
		case len("Connection"): // as long as Retry-After is not
			if bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")) {
				w.last = true
			}
		case len("Retry-After"):
			if bytes.EqualFold(name, []byte("Retry-After")) {
				w.retryAfter = backOff(value)
			}
		}
	}
	return 0, false, lostUnreadable
}

// readPart appends n bytes to the body.
func (w *wire) readPart(n int) error {
	if n > maxBody-len(w.body) {
		return lostUnreadable
	}
	begin := len(w.body)
	w.body = append(w.body, make([]byte, n)...)
	_, err := io.ReadFull(w.in, w.body[begin:])
	return err
}

// readChunks reads a chunked body (RFC 9112 §7.1). Extensions and trailers are
// read over.
func (w *wire) readChunks() error {
	w.body = w.body[:0]
	for {
		line, err := w.readLine()
		if err != nil {
			return err
		}
		digits, extension, _ := bytes.Cut(line, []byte(";"))
		size, ok := hexadecimal(bytes.TrimRight(digits, " \t"))
		if !ok || !isFieldValue(extension) {
			return lostUnreadable
		}
		if size == 0 {
			break
		}
		if err := w.readPart(size); err != nil {
			return err
		}
		if line, err = w.readLine(); err != nil {
			return err
		} else if len(line) != 0 {
			return lostUnreadable
		}
	}
	for range maxFields {
		if line, err := w.readLine(); err != nil || len(line) == 0 {
			return err
		}
	}
	return lostUnreadable
}

// backOff reads Retry-After, seconds or a date (RFC 9110 §10.2.3), to a second
// at least; 0 if it cannot be read.
func backOff(value []byte) time.Duration {
	var d time.Duration
	if seconds, ok := decimal(value); ok {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(string(value)); err == nil {
		d = time.Until(at)
	} else {
		return 0
	}
	return min(max(d, time.Second), maxBackOff)
}

// decimal reads 1 to 9 digits and nothing else.
func decimal(text []byte) (n int, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, len(text) > 0 && len(text) <= 9
}

// hexadecimal reads 1 to 7 digits and nothing else.
func hexadecimal(text []byte) (n int, ok bool) {
	if len(text) == 0 || len(text) > 7 {
		return 0, false
	}
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 + int(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 + int(c|0x20-'a') + 10
		default:
			return 0, false
		}
	}
	return n, true
}

// isToken says whether text is a token (RFC 9110 §5.6.2).
func isToken(text []byte) bool {
	for _, c := range text {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(text) > 0
}

var tokenBytes = func() (set [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		set[c] = true
	}
	return set
}()

// isFieldValue says whether text may stand in a field (RFC 9110 §5.5).
func isFieldValue(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
