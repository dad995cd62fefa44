package service_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/service/servicetest"
	"github.com/pawlauth/pawl/token"
)

var errDisk = errors.New("disk on fire")

func add(t *testing.T, s *service.Services, name string, scopes ...service.Scope) token.Secret {
	t.Helper()
	_, secret, err := s.Add(t.Context(), name, scopes)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// Rows: 123, 197, A98
func TestOnlyTheSecretAuthenticates(t *testing.T) {
	s := service.New(servicetest.NewMemory())
	secret, other := add(t, s, "gateway", service.Introspect), add(t, s, "billing", service.EventsRead, service.UsersRead)
	if text := secret.Reveal(); !strings.HasPrefix(text, service.SecretPrefix) || len(text) != len(service.SecretPrefix)+43 || secret == other {
		t.Errorf("secret of %d characters", len(secret.Reveal()))
	}
	found, err := s.Authenticate(t.Context(), "gateway", secret.Reveal())
	if err != nil || found.Name != "gateway" || !found.May(service.Introspect) {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, scope := range service.Scopes {
		if found.May(scope) != (scope == service.Introspect) {
			t.Errorf("may %s: %v", scope, found.May(scope))
		}
	}
	if found.May("") {
		t.Error("has the scope of no name")
	}
	text := secret.Reveal()
	for name, secrets := range map[string][]string{
		"gateway": {"", text[:len(text)-1], text + "=", text + " ", " " + text, strings.ToUpper(text), strings.TrimPrefix(text, service.SecretPrefix), other.Reveal(), strings.Repeat("x", 1<<16)},
		"billing": {text}, "Gateway": {text}, "nobody": {text, ""}, "": {text, ""}, "-": {text, ""}, "gateway\x00": {text},
	} {
		for _, wrong := range secrets {
			if found, err := s.Authenticate(t.Context(), name, wrong); !errors.Is(err, service.ErrCredentials) || found.Name != "" {
				t.Errorf("%q: %+v, %v", name, found, err)
			}
		}
	}
}

// A service that was removed is refused from then on, and its name may be given
// to another.
//
// Rows: 155
func TestRemovedServicesAreRefusedAtOnce(t *testing.T) {
	s := service.New(servicetest.NewMemory())
	old := add(t, s, "gateway", service.Introspect)
	if _, _, err := s.Add(t.Context(), "gateway", []service.Scope{service.EveryoneEnd}); !errors.Is(err, service.ErrNameTaken) {
		t.Errorf("a name was given twice: %v", err)
	}
	if err := s.Remove(t.Context(), "gateway"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), "gateway", old.Reveal()); !errors.Is(err, service.ErrCredentials) {
		t.Errorf("removed: %v", err)
	}
	fresh := add(t, s, "gateway", service.Introspect)
	if _, err := s.Authenticate(t.Context(), "gateway", old.Reveal()); !errors.Is(err, service.ErrCredentials) {
		t.Errorf("the secret of one that was removed: %v", err)
	}
	if _, err := s.Authenticate(t.Context(), "gateway", fresh.Reveal()); err != nil {
		t.Error(err)
	}
}

func TestNamesAndScopesAreChecked(t *testing.T) {
	s := service.New(servicetest.NewMemory())
	for _, name := range []string{"", "-", "1st", "-a", "A", "a_b", "a b", "ä", "a:b", strings.Repeat("a", 41)} {
		if _, _, err := s.Add(t.Context(), name, []service.Scope{service.Introspect}); !errors.Is(err, service.ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, scopes := range [][]service.Scope{nil, {""}, {"admin"}, {service.Introspect, "introspect "}, {"*"}} {
		_, _, err := s.Add(t.Context(), "a", scopes)
		if !errors.Is(err, service.ErrScope) || !strings.Contains(err.Error(), string(service.RevocationsRead)) {
			t.Errorf("%q: %v", scopes, err)
		}
	}
	if all, err := s.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("a refused service is there: %v, %v", all, err)
	}
	added, _, err := s.Add(t.Context(), strings.Repeat("a", 40), []service.Scope{service.UsersRead, service.EventsRead, service.UsersRead})
	if err != nil || !slices.Equal(added.Scopes, []service.Scope{service.EventsRead, service.UsersRead}) {
		t.Errorf("%+v, %v", added, err)
	}
	if !slices.IsSorted(service.Scopes) {
		t.Errorf("the list of scopes is not in order: %q", service.Scopes)
	}
}

// A store that cannot answer is never a wrong secret, nor a code that is not
// there.
//
// Rows: 94, 252
func TestAFailingStoreIsToldAsSuch(t *testing.T) {
	store := servicetest.NewMemory()
	s := service.New(store)
	secret := add(t, s, "gateway", service.Introspect)
	cookie := service.NewCookie()
	code, err := s.Offer(t.Context(), service.BindingOf(cookie), service.Login{UserID: "u"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Look(t.Context(), code, cookie)
	if err != nil {
		t.Fatal(err)
	}
	store.Fail(errDisk)
	_, _, addErr := s.Add(t.Context(), "other", []service.Scope{service.Introspect})
	_, listErr := s.List(t.Context())
	_, knownErr := s.Authenticate(t.Context(), "gateway", secret.Reveal())
	_, unknownErr := s.Authenticate(t.Context(), "nobody", secret.Reveal())
	_, offerErr := s.Offer(t.Context(), service.Hash{}, service.Login{UserID: "u"})
	_, lookErr := s.Look(t.Context(), code, cookie)
	_, sweepErr := s.Sweep(t.Context(), 1)
	for what, err := range map[string]error{"Add": addErr, "List": listErr, "Remove": s.Remove(t.Context(), "gateway"), "Authenticate": knownErr,
		"Authenticate nobody": unknownErr, "Offer": offerErr, "Look": lookErr, "Take": s.Take(t.Context(), found), "Drop": s.Drop(t.Context(), "u"), "Sweep": sweepErr} {
		if !errors.Is(err, service.ErrUnavailable) || !errors.Is(err, errDisk) || errors.Is(err, service.ErrCredentials) || errors.Is(err, service.ErrCode) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// lookups counts what a store is asked for.
type lookups struct {
	*servicetest.Memory
	asked []string
}

func (l *lookups) Service(ctx context.Context, name string) (service.Record, error) {
	l.asked = append(l.asked, name)
	return l.Memory.Service(ctx, name)
}

// Whatever the name, the store is asked once: who is answered faster would be
// known not to exist.
//
// Rows: 156
func TestTheWorkIsTheSameForUnknownNames(t *testing.T) {
	store := &lookups{Memory: servicetest.NewMemory()}
	s := service.New(store)
	add(t, s, "gateway", service.Introspect)
	for _, name := range []string{"gateway", "nobody", "", "NO", strings.Repeat("a", 5000), "'; drop"} {
		store.asked = nil
		if _, err := s.Authenticate(t.Context(), name, "x"); !errors.Is(err, service.ErrCredentials) || len(store.asked) != 1 {
			t.Errorf("%.20q: %v, asked for %q", name, err, store.asked)
		}
		if len(store.asked) == 1 && len(store.asked[0]) > 40 {
			t.Error("a name that cannot be was looked up")
		}
	}
}

func TestACodeIsForOneBrowserOnceAndForAMinute(t *testing.T) {
	store := servicetest.NewMemory()
	s := service.New(store)
	cookie, foreign := service.NewCookie(), service.NewCookie()
	login := service.Login{UserID: "u_1", ClientID: "web", Audience: "app", Scope: "read", Methods: []string{"hwk"}, Service: "portal"}
	offer := func() token.Secret {
		t.Helper()
		code, err := s.Offer(t.Context(), service.BindingOf(cookie), login)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	code := offer()
	if _, err := s.Look(t.Context(), code, foreign); !errors.Is(err, service.ErrForeign) || !errors.Is(err, service.ErrCode) {
		t.Errorf("in another browser: %v", err)
	}
	found, err := s.Look(t.Context(), code, cookie) // the stranger has not spoilt it
	if err != nil || found.UserID != "u_1" || found.Service != "portal" {
		t.Fatalf("%+v, %v", found, err)
	}
	if err := s.Take(t.Context(), found); err != nil {
		t.Error(err)
	}
	if err := s.Take(t.Context(), found); !errors.Is(err, service.ErrCode) {
		t.Errorf("taken twice: %v", err)
	}
	if _, err := s.Look(t.Context(), code, cookie); !errors.Is(err, service.ErrCode) {
		t.Errorf("looked at after it was taken: %v", err)
	}
	for _, junk := range []token.Secret{"", "x", cookie, code + "A", token.Secret(strings.Repeat("A", 1<<16))} {
		if _, err := s.Look(t.Context(), junk, cookie); !errors.Is(err, service.ErrCode) || errors.Is(err, service.ErrForeign) {
			t.Errorf("junk: %v", err)
		}
	}

	dropped := offer()
	held, err := s.Look(t.Context(), dropped, cookie)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(t.Context(), "u_1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), held); !errors.Is(err, service.ErrCode) {
		t.Errorf("taken after it was dropped: %v", err)
	}
	late := offer()
	store.Advance(service.CodeLife - time.Microsecond)
	if _, err := s.Look(t.Context(), late, cookie); err != nil {
		t.Errorf("in time: %v", err)
	}
	store.Advance(time.Microsecond)
	if _, err := s.Look(t.Context(), late, cookie); !errors.Is(err, service.ErrCode) {
		t.Errorf("late: %v", err)
	}
	if n, err := s.Sweep(t.Context(), 100); err != nil || n != 1 {
		t.Errorf("swept %d, %v", n, err)
	}
}

// Rows: 240
func TestSecretsOfServicesPrintAsRedacted(t *testing.T) {
	s := service.New(servicetest.NewMemory())
	secret, cookie := add(t, s, "gateway", service.Introspect), service.NewCookie()
	code, err := s.Offer(t.Context(), service.BindingOf(cookie), service.Login{UserID: "u"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []token.Secret{secret, cookie, code} {
		if text := fmt.Sprintf("%v %+v %q %s %x", kept, kept, kept, kept, kept); strings.Contains(text, kept.Reveal()) {
			t.Error("a secret was printed")
		}
	}
}

// A binding has one spelling, and is not its cookie.
func TestBindingsHaveOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9_-]{42,44}`), rapid.String()).Draw(t, "text")
		binding, err := service.ParseBinding(text)
		if err == nil && binding.String() != text {
			t.Errorf("%q is read as %q", text, binding)
		}
		if (err == nil) != service.IsCookie(text) {
			t.Errorf("%q: %v, and as a cookie %v", text, err, service.IsCookie(text))
		}
	})
	cookie := service.NewCookie()
	binding, err := service.ParseBinding(service.BindingOf(cookie).String())
	if err != nil || binding != service.BindingOf(cookie) || binding.String() == cookie.Reveal() || !service.IsCookie(cookie.Reveal()) {
		t.Errorf("%v, %v", binding, err)
	}
	for _, wrong := range []string{"", strings.Repeat("A", 42), strings.Repeat("A", 42) + "B", strings.Repeat("A", 43) + "=", strings.Repeat("A", 42) + "\n"} {
		if _, err := service.ParseBinding(wrong); !errors.Is(err, service.ErrBinding) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
