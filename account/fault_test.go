package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

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

func (s faulty) CreateUser(ctx context.Context, user account.User, initial time.Duration) error {
	return errors.Join(s.fault("CreateUser"), s.Store.CreateUser(ctx, user, initial)) // reported as failed, took effect
}

func (s faulty) UserByName(ctx context.Context, name string) (account.User, error) {
	user, err := s.Store.UserByName(ctx, name)
	return user, errors.Join(s.fault("UserByName"), err)
}

func (s faulty) UserByID(ctx context.Context, id string) (account.User, error) {
	user, err := s.Store.UserByID(ctx, id)
	return user, errors.Join(s.fault("UserByID"), err)
}

func (s faulty) SetPassword(ctx context.Context, id string, hash account.Hash, initial time.Duration) error {
	return errors.Join(s.fault("SetPassword"), s.Store.SetPassword(ctx, id, hash, initial))
}

func (s faulty) SetDisabled(ctx context.Context, id string, disabled bool) error {
	return errors.Join(s.fault("SetDisabled"), s.Store.SetDisabled(ctx, id, disabled))
}

func (s faulty) Users(ctx context.Context) ([]account.User, error) {
	users, err := s.Store.Users(ctx)
	return users, errors.Join(s.fault("Users"), err)
}

func (s faulty) SignedIn(ctx context.Context, user account.User, hash account.Hash) error {
	return errors.Join(s.fault("SignedIn"), s.Store.SignedIn(ctx, user, hash))
}

func (s faulty) ChangePassword(ctx context.Context, user account.User, hash account.Hash) error {
	return errors.Join(s.fault("ChangePassword"), s.Store.ChangePassword(ctx, user, hash))
}

func (s faulty) Tally(ctx context.Context, step account.Step) (account.Outcome, error) {
	outcome, err := s.Store.Tally(ctx, step)
	return outcome, errors.Join(s.fault("Tally"), err)
}

func (s faulty) ForgetAttempts(ctx context.Context, of account.Tag) error {
	return errors.Join(s.fault("ForgetAttempts"), s.Store.ForgetAttempts(ctx, of))
}

func (s faulty) SweepAttempts(ctx context.Context, keep, limit int) (int, error) {
	n, err := s.Store.SweepAttempts(ctx, keep, limit)
	return n, errors.Join(s.fault("SweepAttempts"), err)
}

func (s faulty) DeleteUser(ctx context.Context, id string, of account.Tag) error {
	return errors.Join(s.fault("DeleteUser"), s.Store.DeleteUser(ctx, id, of))
}

// A store that cannot answer never makes a user unknown, a password wrong, or a login succeed.
func TestStoreFaultsAreUnavailable(t *testing.T) {
	b := newBench(t)
	user, grace := b.mustAdd(t, "ada"), b.mustAdd(t, "grace")
	calls := map[string]func(*account.Accounts) error{
		"Add": func(a *account.Accounts) error { _, err := a.Add(t.Context(), "bob", password); return err },
		"Authenticate": func(a *account.Accounts) error {
			_, err := a.Authenticate(t.Context(), "ada", password, home)
			return err
		},
		"Recheck": func(a *account.Accounts) error { return a.Recheck(t.Context(), user) },
		"SignUp":  func(a *account.Accounts) error { _, err := a.SignUp(t.Context(), "eve", password, home); return err },
		"ChangePassword": func(a *account.Accounts) error {
			_, err := a.ChangePassword(t.Context(), user.ID, password, other, home)
			return err
		},
		"ReplaceInitial": func(a *account.Accounts) error {
			initial, err := b.SetInitial(t.Context(), grace.ID)
			if err != nil {
				return err
			}
			_, err = a.ReplaceInitial(t.Context(), "grace", account.NewPassword(initial), other, home)
			return err
		},
		"AddInitial":  func(a *account.Accounts) error { _, _, err := a.AddInitial(t.Context(), "joan"); return err },
		"SetInitial":  func(a *account.Accounts) error { _, err := a.SetInitial(t.Context(), grace.ID); return err },
		"Delete":      func(a *account.Accounts) error { return a.Delete(t.Context(), b.mustAdd(t, rand.Text()).ID) },
		"Unlock":      func(a *account.Accounts) error { return a.Unlock(t.Context(), "ada", home) },
		"Hold":        func(a *account.Accounts) error { _, err := a.Hold(t.Context(), "ada"); return err },
		"Sweep":       func(a *account.Accounts) error { _, err := a.SweepAttempts(t.Context(), 1); return err },
		"SetPassword": func(a *account.Accounts) error { return a.SetPassword(t.Context(), user.ID, password) },
		"Disable":     func(a *account.Accounts) error { return a.Disable(t.Context(), user.ID) },
		"Enable":      func(a *account.Accounts) error { return a.Enable(t.Context(), user.ID) },
		"ByID":        func(a *account.Accounts) error { _, err := a.ByID(t.Context(), user.ID); return err },
		"ByName":      func(a *account.Accounts) error { _, err := a.ByName(t.Context(), "ada"); return err },
		"List":        func(a *account.Accounts) error { _, err := a.List(t.Context()); return err },
	}
	for _, c := range []struct{ call, method string }{
		{"Add", "CreateUser"}, {"Authenticate", "Tally"}, {"Authenticate", "UserByName"}, {"Authenticate", "SignedIn"}, {"Recheck", "UserByID"},
		{"SignUp", "Tally"}, {"SignUp", "CreateUser"}, {"ChangePassword", "UserByID"}, {"ChangePassword", "Tally"},
		{"ChangePassword", "ChangePassword"}, {"Unlock", "ForgetAttempts"}, {"Unlock", "Tally"}, {"Hold", "Tally"}, {"Sweep", "SweepAttempts"},
		{"SetPassword", "SetPassword"}, {"Disable", "SetDisabled"}, {"Enable", "SetDisabled"}, {"ByID", "UserByID"},
		{"ByName", "UserByName"}, {"Delete", "UserByID"}, {"Delete", "DeleteUser"}, {"List", "Users"}, {"AddInitial", "CreateUser"}, {"SetInitial", "SetPassword"},
		{"ReplaceInitial", "Tally"}, {"ReplaceInitial", "UserByName"}, {"ReplaceInitial", "ChangePassword"}, {"ReplaceInitial", "UserByID"},
		{"ReplaceInitial", "SignedIn"},
	} {
		accounts, err := account.New(account.Options{Store: faulty{Store: b.store, method: c.method}, Hasher: b.hasher, Key: testKey})
		if err != nil {
			t.Fatal(err)
		}
		err = calls[c.call](accounts)
		if !errors.Is(err, account.ErrUnavailable) || !errors.Is(err, errDisk) || errors.Is(err, account.ErrCredentials) || errors.Is(err, account.ErrNotFound) {
			t.Errorf("%s when %s fails: got %v, want ErrUnavailable", c.call, c.method, err)
		}
	}
}
