package browsertest

import (
	"errors"
	"testing"

	"github.com/pawlauth/pawl/account"
)

// handedOut has an operator make an initial password, of the user "judith".
func handedOut(s *site, b *tab) string {
	b.t.Helper()
	accounts := s.pawl.Accounts()
	_, initial, err := accounts.AddInitial(b.t.Context(), "judith")
	if errors.Is(err, account.ErrNameTaken) {
		var user account.User
		if user, err = accounts.ByName(b.t.Context(), "judith"); err == nil {
			initial, err = accounts.SetInitial(b.t.Context(), user.ID)
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return initial
}

// choosing is at the page that asks for another password than the initial one.
func choosing(s *site, b *tab) {
	b.t.Helper()
	send("/auth/signin", "username", "judith", "password", handedOut(s, b))(s, b)
}

// The password that an operator hands out is typed twice, and no page has it.
//
// Rows: 178
func TestChoosingAPassword(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		initial := handedOut(s, b)
		send("/auth/signin", "username", "judith", "password", initial)(s, b)
		if name := eval[string](b, `document.querySelector("[name=username]").value`); name != "judith" {
			t.Errorf("the name is lost: %q", name)
		}
		if left := eval[string](b, `[...document.querySelectorAll("[type=password]")].map((f) => f.value).join("")`); left != "" {
			t.Error("a password is in the page")
		}
		b.fill("password", initial)
		b.fill("new_password", "one of her own choice")
		b.follow("main button[type=submit]")
		b.arrive("/")
		b.open("/auth/devices")
		if text := eval[string](b, `document.body.innerText`); !eval[bool](b, `location.pathname === "/auth/devices"`) {
			t.Errorf("not signed in: %s", text)
		}
	})
}
