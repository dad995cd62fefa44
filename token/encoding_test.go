package token_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/token"
)

// A byte string has one spelling: what decodes is what encoding writes.
//
// Rows: 84, A56
func FuzzBase64URL(f *testing.F) {
	for _, v := range base64Vectors() {
		f.Add(v.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := token.AppendDecodedBase64URL(nil, text)
		if err != nil {
			if !errors.Is(err, token.ErrEncoding) || len(got) != 0 {
				t.Errorf("%q: %x, %v", text, got, err)
			}
			return
		}
		if again := string(token.AppendBase64URL(nil, got)); again != text {
			t.Errorf("%q decodes to %x, which is %q", text, got, again)
		}
		if want, err := base64.RawURLEncoding.Strict().DecodeString(text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q decodes to %x, want %x (%v)", text, got, want, err)
		}
	})
}

func TestBase64URLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "prefix")
		text := token.AppendBase64URL(bytes.Clone(prefix), want)
		got, err := token.AppendDecodedBase64URL(bytes.Clone(prefix), string(text[len(prefix):]))
		if err != nil || !bytes.Equal(got, append(prefix, want...)) {
			t.Fatalf("%x: got %x, %v", want, got, err)
		}
	})
}

// Rows: 87
func TestBase64URLRefusesWhatIsLongerThanAToken(t *testing.T) {
	if _, err := token.AppendDecodedBase64URL(nil, strings.Repeat("A", token.MaxAccess)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := token.AppendDecodedBase64URL(nil, strings.Repeat("A", token.MaxAccess+4)); !errors.Is(err, token.ErrEncoding) {
		t.Errorf("over the limit: %v", err)
	}
}

func TestIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := idGen().Draw(t, "id")
		got, err := token.ParseID(id.String())
		if err != nil || got != id || len(id.String()) != 22 {
			t.Fatalf("%v: got %v, %v", id, got, err)
		}
		text, err := id.MarshalText()
		if err != nil || string(text) != id.String() {
			t.Fatalf("%v: text %q, %v", id, text, err)
		}
		var again token.ID
		if err := again.UnmarshalText(text); err != nil || again != id || again.Compare(id) != 0 {
			t.Fatalf("%v: read as %v, %v", id, again, err)
		}
	})
}

// Rows: 84, A56
func TestParseIDIsCanonical(t *testing.T) {
	good := idOf(1).String()
	for _, bad := range []string{"", good[:21], good + "A", good[:21] + nextBits(good), good[:20] + "==", good[:21] + "=", "\n" + good[:21], good[:21] + " ", strings.Repeat("A", 1<<20)} {
		id, err := token.ParseID(bad)
		if !errors.Is(err, token.ErrID) || !id.IsZero() {
			t.Errorf("%.30q: %v, %v", bad, id, err)
		}
		id = idOf(5)
		if err := id.UnmarshalText([]byte(bad)); !errors.Is(err, token.ErrID) || !id.IsZero() {
			t.Errorf("%.30q: an id that was refused reads %v, %v", bad, id, err)
		}
	}
}

// Rows: 2, 190
func TestNewIDIsFresh(t *testing.T) {
	seen := make(map[token.ID]bool)
	for range 1000 {
		id := token.NewID()
		if id.IsZero() || seen[id] {
			t.Fatalf("%v came twice or is zero", id)
		}
		seen[id] = true
	}
}

// An id is typed on command lines.
func TestNewIDDoesNotBeginWithAHyphen(t *testing.T) {
	for range 2000 {
		if id := token.NewID(); id.IsZero() || id.String()[0] == '-' {
			t.Fatalf("id %s", id)
		}
	}
}
