package routers

import (
	"net/http"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/examples/internal/visitor"
)

// Both applications let the same requests through and refuse the same ones.
func TestRouters(t *testing.T) {
	for name, site := range map[string]func(*pawl.Pawl) http.Handler{"chi": Chi, "echo": Echo} {
		t.Run(name, func(t *testing.T) {
			v := visitor.New(t, pawl.Options{Home: "/account/mail"}, site)
			v.Want("what everybody may read", v.Open("/"), 200, "Everybody")
			v.Want("a page, to a stranger", v.Open("/account/mail"), 303, "/auth/signin?return_to=%2Faccount%2Fmail")
			v.Want("a call, by a stranger", v.Do("GET", "/account/mail", ""), 401, "login_required")
			v.Want("the key set", v.Do("GET", "/.well-known/jwks.json", ""), 200, `"keys"`)
			v.Want("the sign-in page", v.Open("/auth/signin"), 200, "<form")
			v.Want("signing in", v.Submit("/auth/signin", "username", "ada", "password", visitor.Password), 303, "/auth/signin?check=1")
			v.Want("the way home", v.Open("/auth/signin?check=1"), 200, `content="0;url=/account/mail"`)
			v.Want("a page, to a user", v.Open("/account/mail"), 200, "mail of u_")
			v.Want("another site's form", v.Do("POST", "/account/close", "", "Sec-Fetch-Site", "cross-site"), 403, "cross_site")
			v.Want("what needs a recent login", v.Submit("/account/close"), 200, "Closed.")
			v.Want("a renewal", v.Do("POST", "/auth/refresh", "", "Origin", v.Origin), 200, "refresh_in")
			v.Want("signing out", v.Submit("/auth/signout"), 303, "/auth/signed-out")
			v.Want("a page afterwards", v.Open("/account/mail"), 303, "/auth/signin")
		})
	}
}
