package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/pawlauth/pawl/token"
)

// A Device is what a device that proved its key presents in place of a refresh
// token. Whoever makes one has verified the proof: only [Renewal].Thumbprint
// says of which key.
type Device struct {
	Session ID
	// Generation is that of the newest tokens in the cookies that the device
	// came with.
	Generation uint32
	// Challenge is the generation in which the challenge was made that the
	// proof answers. Once the session has turned, it is used.
	Challenge uint32
}

// presented is what a renewal presents: its refresh token, or what its device
// says instead.
func (e *Engine) presented(r *Renewal) (token.Refresh, error) {
	if r.Device == nil {
		return e.Codec.Open(r.Refresh)
	}
	if r.Refresh != "" || r.Thumbprint == "" || r.Device.Session.IsZero() || r.Device.Generation == 0 {
		return token.Refresh{}, errors.New("session: a device presents no refresh token, and has proved a key")
	}
	return token.Refresh{Session: r.Device.Session, Generation: r.Device.Generation}, nil
}

// shows reports whether a device can stand for the refresh token of a session:
// only of one that is bound to a device. Of which is for decide.
func (d *Device) shows(row *Row) bool { return d != nil && row.Binding.Kind == DBSC }

func (d *Device) stale(row *Row) bool { return d != nil && d.Challenge != row.Generation }

// bindTries is how often a session is looked at anew that turned while it was
// being bound.
const bindTries = 3

// Bind binds a session in cookies to the key of a device, once and for all: one
// that is bound to another key, and one that is over, is refused. From then on
// only proofs of that key renew it.
//
// It returns the newest generation's access token, which names the key, and no
// refresh token, which a device does not need. Nothing is issued if the session
// was bound to this very key before, as when the answer was lost: Access is
// empty then.
func (e *Engine) Bind(ctx context.Context, id ID, thumbprint string, from Origin) (Issued, error) {
	if thumbprint == "" {
		return Issued{}, errors.New("session: name the key that the session is to be bound to")
	}
	for range bindTries {
		row, now, err := e.Get(ctx, id)
		if err != nil {
			return Issued{}, err
		}
		switch {
		case !row.Live(now):
			return Issued{}, &Refusal{Reason: ReasonEnded}
		case row.Transport != Cookie:
			return Issued{}, &Refusal{Reason: ReasonTransport}
		case row.Binding.Kind == DBSC && row.Binding.Thumbprint == thumbprint:
			return Issued{Row: row, Now: now}, nil
		case row.Binding.Kind != Unbound:
			return Issued{}, &Refusal{Reason: ReasonUnproved}
		}
		row.Binding = Binding{Kind: DBSC, Thumbprint: thumbprint}
		err = e.bind(ctx, &row)
		switch {
		case errors.Is(err, ErrConflict):
			continue
		case err != nil:
			return Issued{}, fmt.Errorf("%w: bind: %w", ErrUnavailable, err)
		}
		issued, err := e.mint(&row, now, row.Scope)
		if err != nil {
			return Issued{}, err
		}
		issued.Refresh = ""
		e.record(EventBound, &row, row.Generation, "", from)
		return issued, nil
	}
	return Issued{}, fmt.Errorf("%w: too much contention", ErrUnavailable)
}

func (e *Engine) bind(ctx context.Context, row *Row) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	return e.Store.Bind(ctx, row.ID, row.Generation, row.Binding)
}
