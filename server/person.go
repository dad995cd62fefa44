package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// A Person is all that is kept under one user id. Hash and salts in it are
// secret: they are not for the person either.
type Person struct {
	ID       string
	At       time.Time     // when it was read, by the store's clock
	Account  *account.User // nil: there is none, or it was deleted
	Sessions []session.Row // ended ones too
	Events   []sqlstore.StoredEvent
}

// personPage is how many sessions or events are read at a time.
const personPage = 500

// ErrNothingKept says that no account, session or event has a user id.
var ErrNothingKept = errors.New("nothing is kept under that user id")

// Person reads all that is kept under a user id, or returns [ErrNothingKept].
// What changes meanwhile may or may not be in it.
func (o *Operator) Person(ctx context.Context, id string) (Person, error) {
	p := Person{ID: id}
	user, err := o.data.Store.UserByID(ctx, id)
	switch {
	case err == nil:
		p.Account = &user
	case !errors.Is(err, account.ErrNotFound):
		return Person{}, err
	}
	for query := (session.Query{User: id, WithEnded: true, Limit: personPage}); ; {
		rows, now, err := o.data.Store.List(ctx, query)
		if err != nil {
			return Person{}, err
		}
		p.Sessions, p.At = append(p.Sessions, rows...), now
		if len(rows) < personPage {
			break
		}
		query.After = rows[len(rows)-1].ID
	}
	for after := int64(0); ; {
		events, err := o.data.Store.EventsOf(ctx, id, after, personPage)
		if err != nil {
			return Person{}, err
		}
		p.Events = append(p.Events, events...)
		if len(events) < personPage {
			break
		}
		after = events[len(events)-1].Cursor
	}
	if p.Account == nil && len(p.Sessions) == 0 && len(p.Events) == 0 {
		return Person{}, fmt.Errorf("user id %q: %w", id, ErrNothingKept)
	}
	return p, nil
}

// A Deletion is what [Operator.Delete] did.
type Deletion struct {
	Ended    int // sessions that had not ended
	Erased   int // ended sessions that stay, naming nobody, to refuse their tokens
	Removed  int // sessions that were over
	Events   int // made anonymous
	Accounts int // removed: 0 or 1
}

// Delete removes what is kept under a user id. The account goes last, so that a
// deletion that was cut off anywhere is finished by the same call:
//
//  1. The user is disabled, and every session ended: from here on nobody signs
//     in, and every process refuses the user's tokens within a second.
//  2. Sessions and events no longer name the user, or where the user was.
//  3. The event of the deletion, which keeps the id, is stored. If the next
//     step does not follow, it is stored once more by the call that does it.
//  4. The account goes, with what was counted under its name.
//
// What a server writes after step 2 about a request that came before it, or
// that brings a token of the user's, is kept as any other; another call erases
// that too, account or not.
func (o *Operator) Delete(ctx context.Context, id string) (Deletion, error) {
	var d Deletion
	user, err := o.data.Store.UserByID(ctx, id)
	exists := err == nil
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return d, err
	}
	var ended []session.Ended
	if exists {
		ended, err = o.Disable(ctx, user)
	} else {
		ended, err = o.End(ctx, session.Selection{User: id}, session.ReasonDisabled)
	}
	if d.Ended = len(ended); err != nil {
		return d, err
	}
	if d.Erased, d.Removed, err = o.data.Store.EraseSessions(ctx, id); err != nil {
		return d, fmt.Errorf("erase sessions: %w", err)
	}
	if d.Events, err = o.data.Store.EraseEvents(ctx, id); err != nil {
		return d, fmt.Errorf("erase events: %w", err)
	}
	if !exists && d == (Deletion{}) {
		return d, nil // it was done before
	}
	if err := o.record(ctx, session.Event{Type: session.EventUserDeleted, UserID: id}); err != nil || !exists {
		return d, err
	}
	accounts, err := o.accounts()
	if err != nil {
		return d, err
	}
	switch err := accounts.Delete(ctx, id); {
	case err == nil:
		d.Accounts = 1
	case !errors.Is(err, account.ErrNotFound): // another call did it
		return d, err
	}
	return d, nil
}
