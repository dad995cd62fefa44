package pawl_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pawlauth/pawl"
)

// Pawl's own sign-in page asks for a password only: with it, a login that lacks
// other methods is a page that says so, and not a way round in circles.
//
// Rows: 146, 253.
func TestMissingMethodsAreToldWherePawlAsksForThePassword(t *testing.T) {
	p, end := quiet(pawl.Options{})
	defer end()
	login := visit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.SignIn(w, r, "person-7", pawl.Methods("pwd")); err != nil {
			t.Error(err)
		}
	}), "POST", "/login", nil)
	vault := p.Protect(p.RequireAMR("otp")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") })))
	answer := visit(vault, "GET", "/vault", login)
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusForbidden || answer.Header.Get("Location") != "" ||
		!strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") || len(text) == 0 {
		t.Errorf("%d %v %s", answer.StatusCode, answer.Header, text)
	}
}

// A user comes back from another site with the cookies of the last time.
//
// Rows: 15, 35.
func TestALoginByAnotherSiteWorksForWhoeverWasSignedIn(t *testing.T) {
	p, end := quiet(pawl.Options{})
	defer end()
	callback := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.SignIn(w, r, "person-7", pawl.DangerouslyFromAnotherSite()); err != nil {
			p.Refuse(w, r, err)
		}
	})
	before := visit(callback, "GET", "/callback", nil)
	r := httptest.NewRequest("GET", "/callback?state=checked", nil)
	r.Host = "localhost:8080"
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.AddCookie(before.Cookies()[0])
	w := httptest.NewRecorder()
	callback.ServeHTTP(w, r)
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 2 {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
