package account_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/pawlauth/pawl/account"
)

// Who is deleted is a stranger: to sign-ins, to a login under way, and to whoever gets the name next, under another id.
//
// Rows: 96, 140, 243
func TestDeleteLeavesAStranger(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, "ada")
	b.mustEnter(t, "ada", home) // and home is known
	user, err := b.Authenticate(t.Context(), "ada", password, home)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		b.guess(t, "ada", netip.MustParseAddr("198.51.100.1"))
	}
	if err := b.Delete(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	requireRefused(t, b.Recheck(t.Context(), user), account.ReasonUnknownUser)
	if n := b.mustHold(t, "ada").Failures; n != 0 {
		t.Errorf("%d failures are left", n)
	}
	_, err = b.Authenticate(t.Context(), "ada", password, home)
	requireRefused(t, err, account.ReasonUnknownUser)
	if n := b.mustHold(t, "ada").Failures; n != 1 { // of a known network it would not count
		t.Errorf("%d failures after one, as from a strange network", n)
	}
	if err := b.Delete(t.Context(), user.ID); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("once more: %v, want ErrNotFound", err)
	}
	if again := b.mustAdd(t, "ada"); again.ID == user.ID {
		t.Error("the id was given again")
	}
}
