package follow

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// Bounds of an event stream.
const (
	maxEvent   = 1 << 20 // bytes of one event, field names and comments included
	maxEventID = 128
)

var (
	errEventTooLong = errors.New("an event is longer than the limit")
	errEventID      = errors.New("an event has an id that cannot be sent back")
)

// An event is one server-sent event.
type event struct {
	name string
	data []byte
	id   string // the last that was given, maybe with an earlier event
}

// A stream reads server-sent events (HTML Living Standard §9.2.5, §9.2.6). The
// field "retry" is passed over: how often to come back is decided here.
type stream struct {
	from *bufio.Reader
	size int    // of the event so far
	cr   bool   // the last line ended with CR: an LF that follows is of the same end
	old  bool   // a line was read: no byte order mark can follow
	line []byte // reused
	id   string
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

// newStream reads a stream that goes on after the event of that id, if any.
func newStream(r io.Reader, lastID string) *stream {
	return &stream{from: bufio.NewReader(r), id: lastID}
}

// next returns the next event that has data. An event that the stream's end
// cuts off is none: then, as always at the end, the error is [io.EOF].
func (s *stream) next() (event, error) {
	var e event
	var data [][]byte
	s.size = 0
	for {
		if err := s.readLine(); err != nil {
			return event{}, err
		}
		if len(s.line) == 0 {
			if data != nil {
				e.data, e.id = bytes.Join(data, []byte{'\n'}), s.id
				return e, nil
			}
			e, s.size = event{}, 0 // nothing, or an event without data
			continue
		}
		field, value, _ := bytes.Cut(s.line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(field) {
		case "event":
			e.name = string(value)
		case "data":
			data = append(data, bytes.Clone(value))
		case "id":
			if len(value) > maxEventID || strings.ContainsFunc(string(value), func(r rune) bool { return r < ' ' || r > '~' }) {
				return event{}, errEventID
			}
			s.id = string(value)
		}
	}
}

// readLine reads a line, which ends with CR, LF or both, into s.line.
func (s *stream) readLine() error {
	s.line = s.line[:0]
	for {
		if _, err := s.from.Peek(1); err != nil {
			return err
		}
		ready, _ := s.from.Peek(s.from.Buffered())
		if s.cr && ready[0] == '\n' { // it belongs to the line before
			s.from.Discard(1)
			s.cr = false
			continue
		}
		s.cr = false
		end := bytes.IndexAny(ready, "\r\n")
		used := end + 1
		if end < 0 {
			end, used = len(ready), len(ready)
		}
		s.line = append(s.line, ready[:end]...)
		if s.size += used; s.size > maxEvent {
			return errEventTooLong
		}
		if used > end {
			s.cr = ready[end] == '\r'
		}
		s.from.Discard(used)
		if used == end {
			continue
		}
		if !s.old {
			s.old, s.line = true, bytes.TrimPrefix(s.line, byteOrderMark)
		}
		return nil
	}
}
