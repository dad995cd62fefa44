package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/token"
)

// operatorActor is the actor of events that come from a command.
const operatorActor = "operator"

// An Operator acts on a data directory without serving it; a server on the
// same data notices within a second. Every act is recorded as an event before
// the method returns.
type Operator struct {
	data      *pawl.Data
	pseudonym func(session.ID) string
}

// OpenOperator opens data, and makes it with create; see [pawl.OpenData].
func OpenOperator(ctx context.Context, place pawl.Place, create bool) (*Operator, error) {
	data, err := pawl.OpenData(ctx, place, create)
	if err != nil {
		return nil, err
	}
	return &Operator{data: data, pseudonym: data.Master.Pseudonyms()}, nil
}

// accounts are made when they are asked for: that hashes a password once.
func (o *Operator) accounts() (*account.Accounts, error) {
	hasher, err := account.NewHasher(account.DefaultParams(), 1, time.Minute)
	if err != nil {
		return nil, err
	}
	return account.New(account.Options{Store: o.data.Store, Hasher: hasher, Key: o.data.Master.AttemptKey()})
}

// Close closes the data.
func (o *Operator) Close() error { return o.data.Close() }

// Pseudonym returns the keyed hash under which a session appears in events.
func (o *Operator) Pseudonym(id session.ID) string { return o.pseudonym(id) }

// AddUser makes a user who has chosen the password.
func (o *Operator) AddUser(ctx context.Context, name string, password account.Password) (account.User, error) {
	accounts, err := o.accounts()
	if err != nil {
		return account.User{}, err
	}
	user, err := accounts.Add(ctx, name, password)
	if err != nil {
		return user, err
	}
	return user, o.record(ctx, session.Event{Type: session.EventUserAdded, UserID: user.ID})
}

// AddInitialUser makes a user with an initial password, and returns that; see
// [account.Accounts.AddInitial].
func (o *Operator) AddInitialUser(ctx context.Context, name string) (account.User, string, error) {
	accounts, err := o.accounts()
	if err != nil {
		return account.User{}, "", err
	}
	user, initial, err := accounts.AddInitial(ctx, name)
	if err != nil {
		return user, "", err
	}
	return user, initial, o.record(ctx, session.Event{Type: session.EventUserAdded, Reason: reasonInitial, UserID: user.ID})
}

// reasonInitial is with events of passwords that are to be replaced.
const reasonInitial = "initial"

// Users lists the users.
func (o *Operator) Users(ctx context.Context) ([]account.User, error) { return o.data.Store.Users(ctx) }

// User finds a user by name.
func (o *Operator) User(ctx context.Context, name string) (account.User, error) {
	normal, err := account.NormalizeName(name)
	if err != nil {
		return account.User{}, err
	}
	user, err := o.data.Store.UserByName(ctx, normal)
	if err != nil {
		return user, fmt.Errorf("user %q: %w", name, err)
	}
	return user, nil
}

// SetPassword gives a user a password that the user has chosen, and ends the
// user's sessions.
func (o *Operator) SetPassword(ctx context.Context, user account.User, password account.Password) error {
	accounts, err := o.accounts()
	if err != nil {
		return err
	}
	if err := accounts.SetPassword(ctx, user.ID, password); err != nil {
		return err
	}
	return o.passwordSet(ctx, user, "")
}

// SetInitialPassword gives a user an initial password, which it returns, and
// ends the user's sessions; see [account.Accounts.SetInitial].
func (o *Operator) SetInitialPassword(ctx context.Context, user account.User) (string, error) {
	accounts, err := o.accounts()
	if err != nil {
		return "", err
	}
	initial, err := accounts.SetInitial(ctx, user.ID)
	if err != nil {
		return "", err
	}
	return initial, o.passwordSet(ctx, user, reasonInitial)
}

func (o *Operator) passwordSet(ctx context.Context, user account.User, reason string) error {
	_, err := o.End(ctx, session.Selection{User: user.ID}, session.ReasonPassword)
	return errors.Join(err, o.record(ctx, session.Event{Type: session.EventPasswordSet, Reason: reason, UserID: user.ID}))
}

// Disable keeps a user from signing in and ends the user's sessions, in this
// order: a login that is under way looks at the user again after its session
// exists.
func (o *Operator) Disable(ctx context.Context, user account.User) ([]session.Ended, error) {
	if err := o.data.Store.SetDisabled(ctx, user.ID, true); err != nil {
		return nil, err
	}
	ended, err := o.End(ctx, session.Selection{User: user.ID}, session.ReasonDisabled)
	return ended, errors.Join(err, o.record(ctx, session.Event{Type: session.EventUserDisabled, UserID: user.ID}))
}

// Enable lets a user sign in again.
func (o *Operator) Enable(ctx context.Context, user account.User) error {
	if err := o.data.Store.SetDisabled(ctx, user.ID, false); err != nil {
		return err
	}
	return o.record(ctx, session.Event{Type: session.EventUserEnabled, UserID: user.ID})
}

// Hold returns how sign-ins of a user from networks that are new to the
// account are held up, because of failures.
func (o *Operator) Hold(ctx context.Context, user account.User) (account.Hold, error) {
	accounts, err := o.accounts()
	if err != nil {
		return account.Hold{}, err
	}
	return accounts.Hold(ctx, user.Name)
}

// Unlock forgives the failed sign-ins of a user. If from is valid, it lets the
// user in from that network whatever strangers do to the account elsewhere.
func (o *Operator) Unlock(ctx context.Context, user account.User, from netip.Addr) error {
	accounts, err := o.accounts()
	if err != nil {
		return err
	}
	if err := accounts.Unlock(ctx, user.Name, from); err != nil {
		return err
	}
	return o.record(ctx, session.Event{Type: session.EventUserUnlocked, UserID: user.ID})
}

// Sessions returns one page of sessions; see [session.Query].
func (o *Operator) Sessions(ctx context.Context, q session.Query) ([]session.Row, time.Time, error) {
	return o.data.Store.List(ctx, q)
}

// End ends sessions.
func (o *Operator) End(ctx context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	if !which.Valid() {
		return nil, errors.New("name one session or one user")
	}
	if which.User != "" {
		if err := o.Services().Drop(ctx, which.User); err != nil {
			return nil, err
		}
	}
	ended, err := o.data.Store.End(ctx, which, reason)
	if err != nil {
		return nil, fmt.Errorf("end sessions: %w", err)
	}
	events := make([]session.Event, len(ended))
	for i, s := range ended {
		events[i] = session.Event{Type: session.EventEnded, Reason: string(reason), UserID: s.UserID, Session: o.pseudonym(s.Session)}
	}
	return ended, o.record(ctx, events...)
}

// EndEveryone ends every session of everybody. Who logs in within the next two
// seconds logs in once more.
func (o *Operator) EndEveryone(ctx context.Context) error {
	if _, err := o.data.Store.EndEveryone(ctx, time.Time{}, session.ReasonOperator); err != nil {
		return fmt.Errorf("end everyone: %w", err)
	}
	return o.record(ctx, session.Event{Type: session.EventEpoch, Reason: string(session.ReasonOperator)})
}

// Services are the programs that may use the service API.
func (o *Operator) Services() *service.Services { return service.New(o.data.Store) }

// AddService makes a service and returns its secret, which is kept nowhere.
func (o *Operator) AddService(ctx context.Context, name string, scopes []service.Scope) (service.Service, token.Secret, error) {
	added, secret, err := o.Services().Add(ctx, name, scopes)
	if err != nil {
		return added, "", err
	}
	return added, secret, o.record(ctx, session.Event{Type: session.EventServiceAdded, Reason: name})
}

// RemoveService takes a service's credentials away.
func (o *Operator) RemoveService(ctx context.Context, name string) error {
	if err := o.Services().Remove(ctx, name); err != nil {
		return err
	}
	return o.record(ctx, session.Event{Type: session.EventServiceRemoved, Reason: name})
}

// Fence ends every session and withdraws every key that signs or verifies
// access tokens: after a restore, nothing that was issued before is good any
// more, not even for sessions that the backup never knew. It returns how many
// sessions there were that had not ended.
func (o *Operator) Fence(ctx context.Context) error {
	if _, err := o.data.Store.EndEveryone(ctx, time.Time{}, session.ReasonFenced); err != nil {
		return fmt.Errorf("fence sessions: %w", err)
	}
	records, _, err := o.Keys(ctx)
	if err != nil {
		return err
	}
	for _, record := range records {
		if record.State == keyring.Gone || record.State == keyring.Withdrawn {
			continue
		}
		if err := o.WithdrawKey(ctx, record.ID); err != nil {
			return err
		}
	}
	return o.record(ctx, session.Event{Type: session.EventFenced})
}

// Keys lists the signing keys, and the store's clock.
func (o *Operator) Keys(ctx context.Context) ([]keyring.Record, time.Time, error) {
	return o.data.Store.Keys(ctx)
}

// RotateKey publishes the next signing key, or returns the one that is
// published already.
func (o *Operator) RotateKey(ctx context.Context, publication time.Duration) (keyring.Record, error) {
	next, err := keyring.Rotate(ctx, o.data.Store, o.data.Master, publication)
	if err != nil {
		return next, err
	}
	return next, o.record(ctx, session.Event{Type: session.EventKeyPublished, Key: next.ID})
}

// WithdrawKey ends a signing key at once.
func (o *Operator) WithdrawKey(ctx context.Context, id string) error {
	if err := keyring.Withdraw(ctx, o.data.Store, o.data.Master, id); err != nil {
		return err
	}
	return o.record(ctx, session.Event{Type: session.EventKeyWithdrawn, Key: id})
}

// Events returns at most limit events after a cursor, oldest first.
func (o *Operator) Events(ctx context.Context, after int64, limit int) ([]sqlstore.StoredEvent, error) {
	return o.data.Store.Events(ctx, after, limit)
}

// Fsck checks every invariant of the data.
func (o *Operator) Fsck(ctx context.Context) (sqlstore.Report, error) { return o.data.Store.Fsck(ctx) }

func (o *Operator) record(ctx context.Context, events ...session.Event) error {
	if len(events) == 0 {
		return nil
	}
	for i := range events {
		events[i].Actor = operatorActor // the time is the store's
	}
	if err := o.data.Store.Append(ctx, events); err != nil {
		return fmt.Errorf("it was done, but the event could not be stored: %w", err)
	}
	return nil
}
