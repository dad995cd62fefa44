package httpauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// Rows: 145, 146.
func TestStepUpLetsOnlySufficientLoginsThrough(t *testing.T) {
	w := newWorld(t)
	login := func(age time.Duration, methods ...string) string {
		return w.access(t, token.NewID(), func(c *token.Claims) {
			c.AuthTime, c.Methods = c.AuthTime-int64(age/time.Second), methods
		})
	}
	var refused error
	refuse := func(_ http.ResponseWriter, _ *http.Request, err error) { refused = err }
	recent := w.RequireRecent(5*time.Minute, refuse)
	strong := w.RequireAMR(refuse, "pwd", "otp")
	for _, c := range []struct {
		name   string
		by     func(http.Handler) http.Handler
		access string
		want   error
	}{
		{"just now", recent, login(0, "pwd"), nil},
		{"at the bound", recent, login(5*time.Minute, "pwd"), nil},
		{"too long ago", recent, login(5*time.Minute+time.Second, "pwd"), httpauth.ErrRecentLogin},
		{"both methods", strong, login(time.Hour, "otp", "pwd", "mfa"), nil},
		{"one of them", strong, login(0, "pwd"), httpauth.ErrLoginMethods},
		{"another", strong, login(0, "hwk"), httpauth.ErrLoginMethods},
		{"none", strong, login(0), httpauth.ErrLoginMethods},
	} {
		reached := false
		refused = nil
		handler := w.Protect(c.by(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })), refuse)
		handler.ServeHTTP(httptest.NewRecorder(), request("GET", "/", cookie(c.access)))
		if reached != (c.want == nil) || !errors.Is(refused, c.want) {
			t.Errorf("%s: reached %v, refused %v", c.name, reached, refused)
		}
		if needs, ok := errors.AsType[*httpauth.StepUpError](refused); ok != (c.want != nil) || ok && (needs.MaxAge > 0) == (len(needs.Methods) > 0) {
			t.Errorf("%s: %+v", c.name, needs)
		}
	}
	denied := slices.DeleteFunc(w.eventTypes(), func(e session.EventType) bool { return e != session.EventAccessDenied })
	if len(denied) != 4 {
		t.Errorf("%d denials recorded, want 4", len(denied))
	}
}

// What a program does with its slice later does not change what it asked for.
//
// Rows: 146.
func TestRequiredMethodsAreThoseOfTheCall(t *testing.T) {
	w := newWorld(t)
	var refused error
	refuse := func(_ http.ResponseWriter, _ *http.Request, err error) { refused = err }
	methods := []string{"otp"}
	by := w.RequireAMR(refuse, methods...)
	methods[0] = "pwd"
	access := w.access(t, token.NewID(), func(c *token.Claims) { c.Methods = []string{"pwd"} })
	w.Protect(by(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") })), refuse).
		ServeHTTP(httptest.NewRecorder(), request("GET", "/", cookie(access)))
	if needs, ok := errors.AsType[*httpauth.StepUpError](refused); !ok || !slices.Equal(needs.Methods, []string{"otp"}) {
		t.Errorf("refused %v", refused)
	}
}

// Outside Protect nobody is signed in, so nobody passes.
func TestStepUpOutsideProtectRefuses(t *testing.T) {
	w := newWorld(t)
	for _, by := range []func(httpauth.Refuse) func(http.Handler) http.Handler{
		func(f httpauth.Refuse) func(http.Handler) http.Handler { return w.RequireRecent(time.Hour, f) },
		func(f httpauth.Refuse) func(http.Handler) http.Handler { return w.RequireAMR(f, "pwd") },
	} {
		var refused error
		by(func(_ http.ResponseWriter, _ *http.Request, err error) { refused = err })(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }),
		).ServeHTTP(httptest.NewRecorder(), request("GET", "/", cookie(w.access(t, token.NewID()))))
		if !errors.Is(refused, httpauth.ErrNoCredential) {
			t.Errorf("refused %v", refused)
		}
	}
}

func TestStepUpThatRequiresNothingIsAMistake(t *testing.T) {
	w := newWorld(t)
	for name, make := range map[string]func(){
		"no age":       func() { w.RequireRecent(0, nil) },
		"negative age": func() { w.RequireRecent(-time.Second, nil) },
		"no method":    func() { w.RequireAMR(nil) },
		"empty method": func() { w.RequireAMR(nil, "") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is accepted", name)
				}
			}()
			make()
		}()
	}
}
