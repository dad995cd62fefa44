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
	p.renderRenewal(v, http.StatusOK, &view{
		ReturnTo: p.returnTo(v.r.URL.Query().Get("return_to")), Key: rand.Text(), Script: p.site.renew,
	})
}

func (p *Pages) renderRenewal(v visit, status int, page *view) {
	page.Title, page.Viewer = say("renew_title"), p.viewer(v.r)
	page.Other = &link{Path: p.signInPath(page.ReturnTo)}
	p.render(v, status, "renew.html", page)
}

// renew is the button. Pressed again, it is the same attempt, by its key.
func (p *Pages) renew(v visit) {
	values, err := readForm(v.r, []string{"return_to", "key"}, nil)
	if err != nil {
		p.fail(v, err)
		return
	}
	page := &view{Form: &form{}, ReturnTo: p.returnTo(values["return_to"]), Key: values["key"]}
	err = p.api.Renew(v.w, v.r, page.Key)
	switch {
	case err == nil:
		p.redirect(v, page.ReturnTo)
	case needsLogin(describe(err)):
		p.redirect(v, p.signInPath(page.ReturnTo))
	default:
		// Without script, or it would try by itself what was just refused.
		p.renderFailure(v, page, err, "", "", p.renderRenewal)
	}
}
