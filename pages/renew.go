package pages

import (
	"crypto/rand"
	"net/http"
)

// showRenewal is where a browser comes through with an expired access token,
// on its way to another page. From a stranger's link the refresh cookie does
// not come along (SameSite=Strict), but it does with what this page itself
// asks for: by its script, or by its button.
func (p *Pages) showRenewal(v visit) {
	page := p.renewalView(v.r.URL.Query().Get)
	page.Key, page.Script = rand.Text(), p.site.renew
	p.renderRenewal(v, http.StatusOK, page)
}

// renewalView is of what the query or the form says: where to go on to, and
// whether by way of the sign-in page, which has led here. That page is no place
// to go on to by itself (see [httpapi.API.ReturnTo]), so it has a field of its
// own.
func (p *Pages) renewalView(asked func(name string) string) *view {
	page := &view{Form: &form{}, ReturnTo: p.returnTo(asked("return_to"))}
	switch {
	case asked(byConfirm) == "1":
		page.By, page.Target = byConfirm, p.signInPath(page.ReturnTo, "confirm")
	case asked(bySignIn) == "1":
		page.By, page.Target = bySignIn, p.signInPath(page.ReturnTo)
	default:
		page.Target = page.ReturnTo
	}
	return page
}

// The ways by which a renewal leads on, beside the direct one.
const (
	bySignIn  = "signin"
	byConfirm = "confirm"
)

func (p *Pages) renderRenewal(v visit, status int, page *view) {
	page.Title, page.Viewer = say("renew_title"), p.viewer(v.r)
	// Not back here, though the access token has expired.
	page.Other = &link{Path: p.signInPath(page.ReturnTo, "switch")}
	p.render(v, status, "renew.html", page)
}

// renew is the button. Pressed again, it is the same attempt, by its key.
func (p *Pages) renew(v visit) {
	values, err := readForm(v.r, []string{"return_to", "key"}, []string{bySignIn, byConfirm})
	if err != nil {
		p.fail(v, err)
		return
	}
	page := p.renewalView(func(name string) string { return values[name] })
	page.Key = values["key"]
	err = p.api.Renew(v.w, v.r, page.Key)
	switch {
	case err == nil && page.By != "":
		p.redirect(v, page.Target)
	case err == nil:
		p.goOn(v, page.Target)
	case needsLogin(describe(err)):
		p.redirect(v, p.signInPath(page.ReturnTo, "switch"))
	default:
		// Without script, or it would try by itself what was just refused.
		p.renderFailure(v, page, err, "", "", p.renderRenewal)
	}
}
