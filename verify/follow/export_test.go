package follow

import (
	"context"
	"io"
	"net"
)

// DialBy makes a follower reach its servers some other way than by the network.
func DialBy(o *Options, dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	o.dial = dial
}

// MaxEvent is the bound of one event.
const MaxEvent = maxEvent

// A Heard event, for tests of the stream.
type Heard struct{ Name, Data, ID string }

// ReadStream returns the events of a stream, up to what ends it.
func ReadStream(r io.Reader) (out []Heard, err error) {
	s := newStream(r, "")
	for {
		e, err := s.next()
		if err != nil {
			return out, err
		}
		out = append(out, Heard{e.name, string(e.data), e.id})
	}
}
