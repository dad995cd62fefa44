package account_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pawlauth/pawl/account"
)

var errDisk = errors.New("disk on fire")

// faulty fails in the named method and passes everything else on.
type faulty struct {
	account.Store
	method string
}

func (s faulty) fault(method string) error {
	if s.method == method {
		return errDisk
	}
	return nil
}

func (s faulty) CreateUser(ctx context.Context, user account.User) error {
	return errors.Join(s.fault("CreateUser"), s.Store.CreateUser(ctx, user)) // reported as failed, took effect
}

func (s faulty) UserByName(ctx context.Context, name string) (account.User, error) {
	user, err := s.Store.UserByName(ctx, name)
	return user, errors.Join(s.fault("UserByName"), err)
}

func (s faulty) UserByID(ctx context.Context, id string) (account.User, error) {
	user, err := s.Store.UserByID(ctx, id)
	return user, errors.Join(s.fault("UserByID"), err)
}

func (s faulty) SetPassword(ctx context.Context, id string, hash account.Hash) error {
	return errors.Join(s.fault("SetPassword"), s.Store.SetPassword(ctx, id, hash))
}

func (s faulty) SetDisabled(ctx context.Context, id string, disabled bool) error {
	return errors.Join(s.fault("SetDisabled"), s.Store.SetDisabled(ctx, id, disabled))
}

func (s faulty) Users(ctx context.Context) ([]account.User, error) {
	users, err := s.Store.Users(ctx)
	return users, errors.Join(s.fault("Users"), err)
}

// A store that cannot answer never makes a user unknown, a password wrong, or a login succeed.
func TestStoreFaultsAreUnavailable(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	calls := map[string]func(*account.Accounts) error{
		"Add":          func(a *account.Accounts) error { _, err := a.Add(t.Context(), "bob", password); return err },
		"Authenticate": func(a *account.Accounts) error { _, err := a.Authenticate(t.Context(), "ada", password); return err },
		"Recheck":      func(a *account.Accounts) error { return a.Recheck(t.Context(), user) },
		"SetPassword":  func(a *account.Accounts) error { return a.SetPassword(t.Context(), user.ID, password) },
		"Disable":      func(a *account.Accounts) error { return a.Disable(t.Context(), user.ID) },
		"Enable":       func(a *account.Accounts) error { return a.Enable(t.Context(), user.ID) },
		"ByID":         func(a *account.Accounts) error { _, err := a.ByID(t.Context(), user.ID); return err },
		"ByName":       func(a *account.Accounts) error { _, err := a.ByName(t.Context(), "ada"); return err },
		"List":         func(a *account.Accounts) error { _, err := a.List(t.Context()); return err },
	}
	for _, c := range []struct{ call, method string }{
		{"Add", "CreateUser"}, {"Authenticate", "UserByName"}, {"Authenticate", "UserByID"}, {"Recheck", "UserByID"},
		{"SetPassword", "SetPassword"}, {"Disable", "SetDisabled"}, {"Enable", "SetDisabled"}, {"ByID", "UserByID"},
		{"ByName", "UserByName"}, {"List", "Users"},
	} {
		accounts, err := account.New(faulty{Store: b.store, method: c.method}, b.hasher)
		if err != nil {
			t.Fatal(err)
		}
		err = calls[c.call](accounts)
		if !errors.Is(err, account.ErrUnavailable) || !errors.Is(err, errDisk) || errors.Is(err, account.ErrCredentials) || errors.Is(err, account.ErrNotFound) {
			t.Errorf("%s when %s fails: got %v, want ErrUnavailable", c.call, c.method, err)
		}
	}
}
