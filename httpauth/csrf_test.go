package httpauth_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/token"
)

// Rows: 34, A20.
func TestCSRFTokensAreBoundToTheSession(t *testing.T) {
	csrf, err := httpauth.NewCSRF([][32]byte{{1}})
	must(t, err)
	a, b := token.NewID(), token.NewID()
	text := csrf.Token(a)
	if !csrf.Check(a, text) {
		t.Error("a token of the session is refused")
	}
	if csrf.Check(b, text) || csrf.Check(token.ID{}, csrf.Token(token.ID{})) {
		t.Error("a token is good for a session that it was not made for")
	}
	if text == csrf.Token(a) {
		t.Error("two tokens are equal")
	}
	for _, bad := range []string{"", "x", text[1:], text + "A", a.String()} {
		if csrf.Check(a, bad) {
			t.Errorf("%q is good", bad)
		}
	}
}

func TestCSRFKeysAreReplacedWithoutRefusingAnybody(t *testing.T) {
	id := token.NewID()
	old, err := httpauth.NewCSRF([][32]byte{{1}})
	must(t, err)
	both, err := httpauth.NewCSRF([][32]byte{{2}, {1}})
	must(t, err)
	next, err := httpauth.NewCSRF([][32]byte{{2}})
	must(t, err)
	if !both.Check(id, old.Token(id)) || !next.Check(id, both.Token(id)) {
		t.Error("the first key does not make, or not all keys check")
	}
	if next.Check(id, old.Token(id)) {
		t.Error("a key that was taken out still checks")
	}
	if _, err := httpauth.NewCSRF(nil); err == nil {
		t.Error("no key is accepted")
	}
}

// Rows: 34.
func TestCSRFTokensHaveOneSpelling(t *testing.T) {
	csrf, err := httpauth.NewCSRF([][32]byte{{1}})
	must(t, err)
	rapid.Check(t, func(t *rapid.T) {
		id := token.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		id[0] |= 1
		text := []byte(csrf.Token(id))
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		other := rapid.Byte().Filter(func(b byte) bool { return b != text[at] }).Draw(t, "byte")
		text[at] = other
		if csrf.Check(id, string(text)) {
			t.Fatalf("a changed token is good: byte %d", at)
		}
	})
}
