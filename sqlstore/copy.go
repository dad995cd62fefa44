package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
)

var (
	// ErrIncomplete says that a database is the target of a copy that did not
	// get to its end. Nothing may be served from it: what is missing would be
	// taken for what never was.
	ErrIncomplete = errors.New(`another store is being copied into the database, or was and did not get to the end; run "pawl store copy" again`)
	// ErrOccupied says that a database is in use, so that nothing can be copied
	// into it.
	ErrOccupied = errors.New("the database already holds something; give one that was never used")
	// ErrInUse says that another process has the source open.
	ErrInUse = errors.New("a server or a command has the database open; stop it, then copy")
	// ErrOvertaken says that another copy into the same database has begun.
	ErrOvertaken = errors.New("another copy into the same database has begun; let only one run")
	// ErrChanged says that the copy is not what the source is, because the
	// source was in use meanwhile.
	ErrChanged = errors.New("the source changed while it was copied; stop what uses it, and copy it into an empty database")
)

// A Table is one kind of what a store keeps.
type Table string

// The tables, in the order in which they are copied. Codes for sign-ins are not
// among them: they are good for a minute.
const (
	EpochTable   Table = "epoch"
	KeyTable     Table = "keys"
	UserTable    Table = "users"
	AttemptTable Table = "attempts"
	ServiceTable Table = "services"
	EventTable   Table = "events"
	CounterTable Table = "event counter"
	SessionTable Table = "sessions"
)

var tables = []Table{EpochTable, KeyTable, UserTable, AttemptTable, ServiceTable, EventTable, CounterTable, SessionTable}

// An Attempt is what a store keeps of attempts to sign in under one key.
type Attempt struct {
	account.TallyKey
	account.Tally
}

// Records are records of one table, raw: an epoch is not applied to sessions.
// Only the list of that table has any.
type Records struct {
	Epochs   []session.Epoch // at most one
	Keys     []keyring.Record
	Users    []account.User
	Attempts []Attempt
	Services []service.Record
	Events   []StoredEvent
	Counters []int64 // one: the greatest cursor that was given
	Sessions []session.Row
}

// Len returns how many records there are.
func (r *Records) Len() int {
	return len(r.Epochs) + len(r.Keys) + len(r.Users) + len(r.Attempts) + len(r.Services) + len(r.Events) + len(r.Counters) + len(r.Sessions)
}

// A Place is between two records of a table in the order of their keys: after
// the one whose key it has; zero: before the first. Epoch and counter have none.
type Place struct {
	Text    string           // key, user: id; service: name
	Attempt account.TallyKey // account, then network
	Cursor  int64            // event
	Session session.ID       // session
}

// End returns the place after the last record.
func (r *Records) End() (p Place) {
	if n := len(r.Keys); n > 0 {
		p.Text = r.Keys[n-1].ID
	}
	if n := len(r.Users); n > 0 {
		p.Text = r.Users[n-1].ID
	}
	if n := len(r.Services); n > 0 {
		p.Text = r.Services[n-1].Name
	}
	if n := len(r.Attempts); n > 0 {
		p.Attempt = r.Attempts[n-1].TallyKey
	}
	if n := len(r.Events); n > 0 {
		p.Cursor = r.Events[n-1].Cursor
	}
	if n := len(r.Sessions); n > 0 {
		p.Session = r.Sessions[n-1].ID
	}
	return p
}

// A Source is a store that can be copied.
type Source interface {
	// Size returns how many records a table has.
	Size(ctx context.Context, table Table) (int, error)

	// Page returns the records of a table that come after a place, at most
	// limit, in the order of the bytes of their keys, with all their stamps.
	Page(ctx context.Context, table Table, after Place, limit int) (Records, error)
}

// A Sink is a database into which a store can be copied.
type Sink interface {
	Source

	// Begin marks the database as incomplete and makes this copy the only one:
	// writes of an earlier one fail with [ErrOvertaken]. It fails with
	// [ErrOccupied] if there is something in it and it is not marked.
	Begin(ctx context.Context) error

	// Last returns the place after the last record of a table.
	Last(ctx context.Context, table Table) (Place, error)

	// Write stores records as they are, all or none. Those whose keys are there
	// already are left as they are.
	Write(ctx context.Context, records Records) error

	// Finish takes the mark away.
	Finish(ctx context.Context) error
}

// copyPage is how many records are copied at once.
const copyPage = 1000

// Copy copies everything from a store that nobody uses meanwhile into a
// database that was never used, but for codes for sign-ins. If it is ended at
// any point, a later Copy between the same two goes on where it was; until one
// has returned nil, the database is not opened as a store. In the end it reads
// both and compares every record. Errors match [ErrOccupied], [ErrOvertaken]
// or [ErrChanged], or are those of the stores.
//
// progress, which may be nil, is told how many records of a table are copied,
// of how many.
func Copy(ctx context.Context, from Source, to Sink, progress func(table string, done, of int)) error {
	if err := to.Begin(ctx); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	c := copier{from: from, to: to, progress: progress}
	for _, table := range tables {
		if err := c.copy(ctx, table); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	for _, table := range tables {
		if err := c.compare(ctx, table); err != nil {
			return fmt.Errorf("compare %s: %w", table, err)
		}
	}
	if err := to.Finish(ctx); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}

type copier struct {
	from     Source
	to       Sink
	progress func(table string, done, of int)
}

// copy copies what the target lacks of a table. Records are written in the
// order of their keys, so what is lacking comes after the last one.
func (c *copier) copy(ctx context.Context, table Table) error {
	of, err := c.from.Size(ctx, table)
	if err != nil {
		return err
	}
	done, err := c.to.Size(ctx, table)
	if err != nil {
		return err
	}
	at, err := c.to.Last(ctx, table)
	if err != nil {
		return err
	}
	for {
		page, err := c.from.Page(ctx, table, at, copyPage)
		if err != nil {
			return err
		}
		if page.Len() > 0 {
			if err := c.to.Write(ctx, page); err != nil {
				return err
			}
			at, done = page.End(), done+page.Len()
		}
		if c.progress != nil {
			c.progress(string(table), min(done, of), of)
		}
		if page.Len() < copyPage {
			return nil
		}
	}
}

// compare fails with [ErrChanged] unless a table has the same records on both
// sides.
func (c *copier) compare(ctx context.Context, table Table) error {
	for at := (Place{}); ; {
		want, err := c.from.Page(ctx, table, at, copyPage)
		if err != nil {
			return err
		}
		got, err := c.to.Page(ctx, table, at, copyPage)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(want, got) {
			return ErrChanged
		}
		if want.Len() < copyPage {
			return nil
		}
		at = want.End()
	}
}
