package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// What other parts of the program set stays in an answer that is withdrawn.
func TestWithdrawingCookiesLeavesThoseOfOthers(t *testing.T) {
	w := httptest.NewRecorder()
	http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
	setCookies(w, []string{"__Host-Http-pawl-access=x; Path=/", "__Secure-pawl-refresh=y; Path=/auth"})
	withdrawCookies(w)
	if got := w.Header()["Set-Cookie"]; len(got) != 1 || got[0] != "theme=dark" {
		t.Errorf("left: %q", got)
	}
}
