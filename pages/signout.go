package pages

import (
	"net/http"

	"github.com/pawlauth/pawl/httpauth"
)

// showSignOut asks whether to sign out. A GET never does it: a picture on
// another site could. Who comes back to it after a sign-out is told so.
func (p *Pages) showSignOut(v visit) {
	if !httpauth.CarriesCookie(v.r) {
		p.showSignedOut(v)
		return
	}
	p.renderSignOut(v, http.StatusOK, &view{})
}

func (p *Pages) renderSignOut(v visit, status int, page *view) {
	page.Title, page.Viewer, page.Script = say("signout_title"), p.viewer(v.r), p.site.form
	p.render(v, status, "signout.html", page)
}

// signOut ends the session. It works after the access token has expired, and a
// second time.
func (p *Pages) signOut(v visit) {
	if _, err := readForm(v.r, nil, nil); err != nil {
		p.fail(v, err)
		return
	}
	if err := p.api.SignOut(v.w, v.r); err != nil {
		p.renderFailure(v, &view{Form: &form{}}, err, "", "", p.renderSignOut)
		return
	}
	p.redirect(v, p.site.Path("/signed-out"))
}

func (p *Pages) showSignedOut(v visit) {
	if p.SignedOut != "" {
		p.leadOn(v, say("signedout_title"), p.SignedOut)
		return
	}
	p.render(v, http.StatusOK, "notice.html", &view{Title: say("signedout_title"), Notice: &notice{
		Kind: "good", Text: say("signedout_text"), Links: []link{{Link: say("signedout_again"), Path: p.site.Path("/signin")}},
	}})
}
