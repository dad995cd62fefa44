package httpapi_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	svc "github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// lookUps are services that count what costs a query.
type lookUps struct {
	httpapi.Services
	n *atomic.Int64
}

func (l lookUps) Authenticate(ctx context.Context, name, secret string) (svc.Service, error) {
	l.n.Add(1)
	return l.Services.Authenticate(ctx, name, secret)
}

func (l lookUps) Look(ctx context.Context, code, cookie token.Secret) (svc.Code, error) {
	l.n.Add(1)
	return l.Services.Look(ctx, code, cookie)
}

func newCountingWorld(t *testing.T) (*world, *atomic.Int64) {
	var n atomic.Int64
	return newWorld(t, change{api: func(o *httpapi.Options) { o.Services = lookUps{o.Services, &n} }}), &n
}

// from makes a request from another address than all others.
func (w *world) from(peer, path, body string, headers ...string) answer {
	r := request("POST", path, body, headers...)
	r.RemoteAddr = peer
	return w.send(r)
}

// atOnce is how many failures of a network are looked into at once.
const atOnce = 10

// limited makes junk requests, and wants the first to be refused and the rest
// to be told to wait.
func limited(t *testing.T, junk func() answer) {
	t.Helper()
	for i := range 200 {
		got := junk()
		if want := map[bool]int{true: 401, false: 429}[i < atOnce]; got.Code != want || got.Code == 429 && got.Header().Get("Retry-After") != "1" {
			t.Fatalf("attempt %d: %d %v %s", i, got.Code, got.Header(), got.Body)
		}
	}
}

const (
	junkService  = "Authorization: Basic Z2F0ZXdheTp3cm9uZw==" // gateway, wrong
	otherService = "Authorization: Basic b3RoZXI6czNjcmV0"     // other, s3cret
)

// Whoever makes credentials of services up costs next to no queries and
// events. Those that were right lately are never in the way of that, nor is any
// other network.
//
// Rows: 123, 169
func TestWrongServiceCredentialsAreLimited(t *testing.T) {
	w, queries := newCountingWorld(t)
	record := svc.Record{Service: svc.Service{Name: "other", Scopes: []svc.Scope{svc.EventsRead}}, Secret: sha256.Sum256([]byte("s3cret"))}
	_, err := w.services.AddService(t.Context(), record)
	w.must(err)
	w.form("/auth/introspect", "token=x", service).want(200, "")
	queries.Store(0)
	limited(t, func() answer { return w.form("/auth/introspect", "token=x", junkService) })
	if n, refused, told := queries.Load(), len(w.recorded(session.EventServiceRefused)), len(w.recorded(session.EventRateLimited)); n != atOnce || refused != atOnce || told != 200-atOnce {
		t.Errorf("%d queries, %d refusals and %d limits recorded", n, refused, told)
	}
	w.form("/auth/introspect", "token=x", service).want(200, "")
	w.form("/auth/introspect", "token=x", otherService).want(429, "temporarily_unavailable") // right, but it was never here
	w.from("198.51.100.7:80", "/auth/introspect", "token=x", formType, otherService).want(403, "insufficient_scope")
	w.form("/auth/introspect", "token=x", otherService).want(403, "insufficient_scope") // it was now
	if denied := w.recorded(session.EventAccessDenied); len(denied) != 2 || denied[0].Actor != "other" || denied[0].Reason != "introspect" {
		t.Errorf("recorded %+v", denied)
	}
	w.must(w.services.RemoveService(t.Context(), "other"))
	w.form("/auth/introspect", "token=x", otherService).want(401, "invalid_client")
	w.form("/auth/introspect", "token=x", otherService).want(429, "temporarily_unavailable") // it counts as right no more
	_, err = w.services.AddService(t.Context(), record)
	w.must(err)
	w.now = w.now.Add(time.Second)
	w.form("/auth/introspect", "token=x", otherService).want(403, "insufficient_scope")
}

// A credential that was right once is not what makes another right.
//
// Rows: 123
func TestNamesAndSecretsAreNotMixedUp(t *testing.T) {
	w, _ := newCountingWorld(t)
	w.form("/auth/introspect", "token=x", service).want(200, "")
	limited(t, func() answer { return w.form("/auth/introspect", "token=x", junkService) })
	for name, credential := range map[string]string{
		"another name": "Authorization: Basic b3RoZXI6czNjcmV0", "no name": "Authorization: Basic OnMzY3JldA==", "a longer secret": "Authorization: Basic Z2F0ZXdheTpzM2NyZXRz",
	} {
		if got := w.form("/auth/introspect", "token=x", credential); got.Code != 429 {
			t.Errorf("%s: %d", name, got.Code)
		}
	}
}

// Anybody can invent codes and cookies: that costs next to no queries and
// events, spoils no code, and is for one network only.
//
// Rows: 169, 242
func TestJunkCodesAreLimited(t *testing.T) {
	for name, cookie := range map[string]string{"without a cookie": "X: y", "with a cookie": "Cookie: " + httpauth.HandoffCookie + "=" + strings.Repeat("A", 43)} {
		t.Run(name, func(t *testing.T) {
			w, queries := newCountingWorld(t)
			mine, binding := w.handsOver()
			code := redemption(w.vouches(binding))
			limited(t, func() answer {
				return w.do("POST", "/auth/redeem", redemption(strings.Repeat("A", 43)), jsonType, fromPage, cookie)
			})
			refused, told := w.recorded(session.EventCodeRefused), w.recorded(session.EventRateLimited)
			if n := queries.Load(); n > atOnce || len(refused) != atOnce || len(told) != 200-atOnce || told[0].Reason != "code" || refused[0].Reason != "" {
				t.Errorf("%d queries, %d refusals and %d limits recorded", n, len(refused), len(told))
			}
			if failed := w.recorded(session.EventSignInFailed); len(failed) != 0 {
				t.Errorf("%d failed sign-ins recorded", len(failed))
			}
			w.do("POST", "/auth/redeem", code, jsonType, fromPage, "Cookie: "+mine).want(429, "too_many_attempts")
			w.from("198.51.100.7:80", "/auth/redeem", redemption("x"), jsonType, fromPage).want(401, "code_refused")
			w.form("/auth/introspect", "token=x", service).want(200, "") // services are counted apart
			w.now = w.now.Add(time.Second)
			w.do("POST", "/auth/redeem", code, jsonType, fromPage, "Cookie: "+mine).want(200, "")
		})
	}
}
