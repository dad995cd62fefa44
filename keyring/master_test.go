package keyring_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
)

// text is the text form of the master key that consists of one byte.
func masterText(b byte) string {
	return keyring.MasterPrefix + base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32))
}

func parse(t testing.TB, lines ...string) *keyring.Master {
	t.Helper()
	m, err := keyring.ParseMaster([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Rows: 195
func TestParseMaster(t *testing.T) {
	a, b := masterText(1), masterText(2)
	for name, tt := range map[string]struct {
		text string
		keys int // 0: refused
	}{
		"one":                      {a, 1},
		"one line":                 {a + "\n", 1},
		"CR LF":                    {a + "\r\n" + b + "\r\n", 2},
		"two":                      {a + "\n" + b, 2},
		"comments and empty lines": {"# current\n\n" + a + "\n   \n  # old\n\t" + b + "  \n#", 2},
		"empty":                    {"", 0},
		"only a comment":           {"# nothing\n", 0},
		"junk":                     {"correct horse battery staple", 0},
		"junk after a key":         {a + "\njunk", 0},
		"the same twice":           {a + "\n" + a, 0},
		"the same thrice apart":    {a + "\n" + b + "\n" + a, 0},
		"two on a line":            {a + " " + b, 0},
		"comment behind a key":     {a + " # current", 0},
		"no prefix":                {strings.TrimPrefix(a, keyring.MasterPrefix), 0},
		"another prefix":           {strings.Replace(a, "pawl_mk_", "pawl_rt_", 1), 0},
		"prefix in capitals":       {strings.Replace(a, "pawl_mk_", "PAWL_MK_", 1), 0},
		"prefix only":              {keyring.MasterPrefix, 0},
		"too short":                {a[:len(a)-1], 0},
		"a byte short":             {a[:len(a)-2], 0},
		"too long":                 {a + "A", 0},
		"a byte long":              {keyring.MasterPrefix + base64.RawURLEncoding.EncodeToString(make([]byte, 33)), 0},
		"padded":                   {a + "=", 0},
		"trailing bits":            {a[:len(a)-1] + "F", 0},
		"standard alphabet":        {keyring.MasterPrefix + strings.Repeat("/", 43), 0},
		"hexadecimal":              {keyring.MasterPrefix + strings.Repeat("01", 32), 0},
		"byte order mark":          {"\ufeff" + a, 0},
		"NUL":                      {a + "\x00", 0},
		"a line without end":       {keyring.MasterPrefix + strings.Repeat("A", 1<<20), 0},
	} {
		m, err := keyring.ParseMaster([]byte(tt.text))
		if tt.keys == 0 {
			if !errors.Is(err, keyring.ErrMaster) || m != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || len(m.RefreshKeys()) != tt.keys || len(m.CSRFKeys()) != tt.keys || m.Current() != m.RefreshKeys()[0].ID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewMasterText(t *testing.T) {
	seen := make(map[token.KeyID]bool)
	for range 50 {
		text := keyring.NewMasterText()
		if !bytes.HasPrefix(text, []byte(keyring.MasterPrefix)) || bytes.Count(text, []byte("\n")) != 1 {
			t.Fatal("not one line with the prefix")
		}
		m, err := keyring.ParseMaster(text)
		if err != nil || seen[m.Current()] {
			t.Fatalf("not a fresh master key: %v", err)
		}
		seen[m.Current()] = true
	}
}

// What a file says that is refused is not in the error.
//
// Rows: 195, 238
func TestParseMasterDoesNotQuote(t *testing.T) {
	const canary = "CanaryCanaryCanary"
	for _, text := range []string{canary, keyring.MasterPrefix + canary, masterText(1) + canary, masterText(1) + "\n" + masterText(1), "#\n" + canary + strings.Repeat("A", 1<<20)} {
		_, err := keyring.ParseMaster([]byte(text))
		if err == nil {
			t.Fatal("accepted")
		}
		for _, secret := range []string{canary, strings.TrimPrefix(masterText(1), keyring.MasterPrefix)} {
			if out := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(out, secret) {
				t.Errorf("the error quotes the file: %v", err)
			}
		}
	}
}

func derived(t testing.TB, master []byte, label string) []byte {
	t.Helper()
	key, err := hkdf.Key(sha256.New, master, nil, label, 32)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Every purpose has its own key, made by HKDF-SHA-256 under the label that
// the format fixes: a change of any label would lose every session.
//
// Rows: 184, 192
func TestDerivedKeysAreThoseOfTheFormat(t *testing.T) {
	raw := bytes.Repeat([]byte{7}, 32)
	m := parse(t, masterText(7))
	rk := m.RefreshKeys()[0]
	if want := derived(t, raw, "pawl/1 master key id"); m.Current() != token.KeyID(want[:4]) || rk.ID != m.Current() {
		t.Errorf("key id %x, want %x", m.Current(), want[:4])
	}
	csrf := m.CSRFKeys()[0]
	for label, got := range map[string][]byte{
		"pawl/1 refresh token, outer tag": rk.Outer[:],
		"pawl/1 refresh token, inner tag": rk.Inner[:],
		"pawl/1 CSRF token":               csrf[:],
	} {
		if want := derived(t, raw, label); !bytes.Equal(got, want) {
			t.Errorf("%s: another key", label)
		}
	}
	id := token.ID{1, 2, 3}
	mac := hmac.New(sha256.New, derived(t, raw, "pawl/1 session pseudonym"))
	mac.Write(id[:])
	if got, want := m.Pseudonyms()(id), base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12]); got != want {
		t.Errorf("pseudonym %q, want %q", got, want)
	}

	s := keyringtest.NewStore(newClock().Now)
	r := open(t, s, m, options())
	record := in(t, s, keyring.Active)
	plain, err := unseal(derived(t, raw, "pawl/1 signing key at rest"), record)
	if err != nil {
		t.Fatalf("not sealed with AES-256-GCM under its own key: %v", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		t.Fatal(err)
	}
	if own := ed25519.Sign(key.(ed25519.PrivateKey), []byte("a message")); !bytes.Equal(own, sign(t, r).signature) {
		t.Error("another private key was sealed")
	}
	if bytes.Contains(record.Sealed, plain[len(plain)-32:]) {
		t.Error("the private key is readable in what is stored")
	}
}

// unseal is the format of a sealed key, written a second time.
func unseal(key []byte, r keyring.Record) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	var context []byte
	for _, part := range []string{r.ID, string(r.Algorithm), r.Header, string(r.Public), string(r.Master[:])} {
		context = append(context, byte(len(part)>>8), byte(len(part)))
		context = append(context, part...)
	}
	return aead.Open(nil, r.Sealed[:12], r.Sealed[12:], context)
}

// A key of one purpose does nothing for another, and one master key's nothing
// for another master key.
//
// Rows: 184
func TestKeysOfDifferentPurposesDoNotMix(t *testing.T) {
	m := parse(t, masterText(1), masterText(2))
	names := make(map[[32]byte]string)
	add := func(name string, key [32]byte) {
		if other, there := names[key]; there {
			t.Errorf("%s is the same key as %s", name, other)
		}
		names[key] = name
	}
	for i, b := range []byte{1, 2} {
		raw := bytes.Repeat([]byte{b}, 32)
		rk := m.RefreshKeys()[i]
		add(fmt.Sprint("master ", i), [32]byte(raw))
		add(fmt.Sprint("outer ", i), rk.Outer)
		add(fmt.Sprint("inner ", i), rk.Inner)
		add(fmt.Sprint("csrf ", i), m.CSRFKeys()[i])
		for _, label := range []string{"pawl/1 signing key at rest", "pawl/1 session pseudonym", "pawl/1 master key id"} {
			add(fmt.Sprint(label, i), [32]byte(derived(t, raw, label)))
		}
	}

	rk := m.RefreshKeys()[0]
	good := token.NewRefreshCodec(rk)
	salt := token.Salt{1}
	for name, wrong := range map[string]token.RefreshKey{
		"outer and inner exchanged":        {ID: rk.ID, Outer: rk.Inner, Inner: rk.Outer},
		"CSRF key as outer key":            {ID: rk.ID, Outer: m.CSRFKeys()[0], Inner: rk.Inner},
		"the master key itself":            {ID: rk.ID, Outer: [32]byte(bytes.Repeat([]byte{1}, 32)), Inner: rk.Inner},
		"the outer key of another":         {ID: rk.ID, Outer: m.RefreshKeys()[1].Outer, Inner: rk.Inner},
		"the id of one, the keys of other": {ID: rk.ID, Outer: m.RefreshKeys()[1].Outer, Inner: m.RefreshKeys()[1].Inner},
	} {
		forged, err := token.NewRefreshCodec(wrong).Seal(rk.ID, token.ID{9}, 1, salt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := good.Open(forged.Reveal()); !errors.Is(err, token.ErrRefresh) {
			t.Errorf("%s: a refresh token opens", name)
		}
	}
	s := keyringtest.NewStore(newClock().Now)
	open(t, s, m, options())
	for key, name := range names {
		if _, err := unseal(key[:], in(t, s, keyring.Active)); (err == nil) != (name == "pawl/1 signing key at rest0") {
			t.Errorf("the signing key at rest under %s: %v", name, err)
		}
	}
}

// Rows: 238
func TestPseudonymsHideTheSession(t *testing.T) {
	name := parse(t, masterText(1)).Pseudonyms()
	other := parse(t, masterText(2), masterText(1)).Pseudonyms()
	seen := make(map[string]bool)
	for range 100 {
		id := token.NewID()
		p := name(id)
		if len(p) != 16 || seen[p] || p != name(id) || p == other(id) || strings.Contains(id.String(), p) {
			t.Fatalf("session %v is called %q", id, p)
		}
		seen[p] = true
	}
}

// A master key that was replaced stays in the file behind the new one: what
// was sealed under it opens, what is new is sealed under the new one.
//
// Rows: 185, 195
func TestMasterKeyIsReplacedInSteps(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	old, both, fresh := parse(t, masterText(1)), parse(t, masterText(2), masterText(1)), parse(t, masterText(2))
	before := sign(t, open(t, s, old, options()))
	issued, err := token.NewRefreshCodec(old.RefreshKeys()...).Seal(old.Current(), token.ID{1}, 1, token.Salt{1})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := keyring.Open(t.Context(), s, fresh, options()); !errors.Is(err, keyring.ErrWrongMaster) {
		t.Fatalf("the new master key alone: %v", err)
	}
	r := open(t, s, both, options())
	if !before.verifies(r) || !sign(t, r).verifies(r) {
		t.Error("with the old key second, its signing key does not work")
	}
	if _, err := token.NewRefreshCodec(both.RefreshKeys()...).Open(issued.Reveal()); err != nil {
		t.Errorf("with the old key second, its refresh tokens do not open: %v", err)
	}
	if next, err := r.Rotate(t.Context()); err != nil || next.Master != fresh.Current() {
		t.Errorf("the new signing key is under %x, %v", next.Master, err)
	}
	c.advance(published)
	mustSync(t, r)
	// The old signing key retires, and so needs no master key any more.
	if r := open(t, s, fresh, options()); !before.verifies(r) {
		t.Error("a token of the old signing key is refused")
	}
	if _, err := token.NewRefreshCodec(fresh.RefreshKeys()...).Open(issued.Reveal()); !errors.Is(err, token.ErrRefresh) {
		t.Errorf("without the old key, its refresh tokens: %v", err)
	}
}

// Rows: 195
func TestWrongMasterChangesNothing(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	open(t, s, newMaster(t), options())
	before := stored(t, s)
	c.advance(2 * rotation) // something would be due
	for range 2 {
		if r, err := keyring.Open(t.Context(), s, newMaster(t), options()); !errors.Is(err, keyring.ErrWrongMaster) || r != nil {
			t.Errorf("got %v", err)
		}
	}
	after := stored(t, s)
	if !slices.EqualFunc(before, after, func(a, b keyring.Record) bool {
		return a.ID == b.ID && a.State == b.State && bytes.Equal(a.Sealed, b.Sealed) && a.ChangedAt.Equal(b.ChangedAt)
	}) {
		t.Error("the store was changed")
	}
}

// Rows: 238, 240, A92
func TestKeysPrintAsRedacted(t *testing.T) {
	raw := bytes.Repeat([]byte{'K'}, 32)
	m := parse(t, keyring.MasterPrefix+base64.RawURLEncoding.EncodeToString(raw))
	s := keyringtest.NewStore(newClock().Now)
	r := open(t, s, m, options())
	plain, err := unseal(derived(t, raw, "pawl/1 signing key at rest"), in(t, s, keyring.Active))
	if err != nil {
		t.Fatal(err)
	}
	seed := plain[len(plain)-32:]
	for _, v := range []any{m, *m, []*keyring.Master{m}, struct{ M *keyring.Master }{m}, struct{ m *keyring.Master }{m}, struct{ m keyring.Master }{*m},
		struct{ s *keyring.Signer }{r.Signer()}, struct{ s keyring.Signer }{*r.Signer()}, r.Signer(), *r.Signer(), []any{r.Signer()},
		r, []*keyring.Ring{r}, r.Set(), m.RefreshKeys()} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "k", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "k", v)
		std, stdErr := stdjson.Marshal(v)
		exp, expErr := json.Marshal(v)
		fmt.Fprintln(&out, string(std), stdErr, string(exp), expErr)
		for name, secret := range map[string][]byte{"master key": raw, "signing key": seed} {
			for _, spelling := range spellings(secret) {
				if strings.Contains(out.String(), spelling) {
					t.Errorf("%T prints the %s as %q", v, name, spelling)
				}
			}
		}
	}
}

// spellings are the ways in which secret bytes could be read off a text.
func spellings(b []byte) []string {
	decimal := strings.Trim(fmt.Sprint(b), "[]")
	return []string{
		string(b), fmt.Sprintf("%x", b), fmt.Sprintf("%X", b), decimal, strings.ReplaceAll(decimal, " ", ","),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}"),
		base64.RawURLEncoding.EncodeToString(b), base64.StdEncoding.EncodeToString(b),
	}
}
