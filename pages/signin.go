package pages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/verify"
)

// A request to sign in, as it is carried from page to page.
type signIn struct {
	username   string
	remember   bool
	confirm    bool   // a signed-in user shows once more who it is
	returnTo   string // checked
	confirming *viewer
}

// returnTo is where to go on to: a path of our own, or home.
func (p *Pages) returnTo(raw string) string {
	if local, ok := p.api.ReturnTo(raw); ok {
		return local
	}
	return p.Home
}

// signInPath leads to the sign-in page and from there to a path.
func (p *Pages) signInPath(returnTo string, more ...string) string {
	return p.pathTo("/signin", returnTo, more...)
}

// pathTo leads to a page, and from there to a path. Each of more is a switch.
func (p *Pages) pathTo(below, returnTo string, more ...string) string {
	query := url.Values{}
	if returnTo != p.Home {
		query.Set("return_to", returnTo)
	}
	for _, name := range more {
		query.Set(name, "1")
	}
	return p.site.Path(below) + suffix(query)
}

func suffix(query url.Values) string {
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// showSignIn asks for name and password; of a user who is to confirm who it is,
// only for the password. Whoever is signed in already is told so, and not sent
// on: what sent them here might send them back. Whose access token has expired
// may well be signed in: a renewal finds out, unless it has led here.
func (p *Pages) showSignIn(v visit) {
	q := v.r.URL.Query()
	in := signIn{returnTo: p.returnTo(q.Get("return_to")), confirm: q.Get("confirm") == "1"}
	other := q.Get("switch") == "1"
	if q.Get("check") == "1" {
		p.checkCookies(v, in.returnTo)
		return
	}
	who, err := p.api.Viewer(asRead(v.r))
	switch {
	case expired(v.r, err) && !other:
		by := bySignIn
		if in.confirm {
			by = byConfirm
		}
		p.redirect(v, p.pathTo("/renew", in.returnTo, by))
		return
	case err == nil:
		in.confirming = shown(who)
	}
	in.confirm = in.confirm && in.confirming != nil
	if in.confirm && in.confirming.Name == "" {
		p.renderNothingToConfirm(v, in.confirming)
		return
	}
	if in.confirming != nil && !in.confirm && !other {
		p.render(v, http.StatusOK, "already.html", &view{Title: say("already_title"), Viewer: in.confirming, ReturnTo: in.returnTo,
			Other: &link{Link: say("already_switch"), Path: p.signInPath(in.returnTo, "switch")}})
		return
	}
	p.renderSignIn(v, http.StatusOK, p.signInView(in))
}

// expired reports whether err says that the access cookie is one whose time is
// over.
func expired(r *http.Request, err error) bool {
	return errors.Is(err, verify.ErrExpired) && httpauth.CarriesCookie(r)
}

// renderNothingToConfirm is for a user of the program's own, who has no
// password here.
func (p *Pages) renderNothingToConfirm(v visit, who *viewer) {
	p.render(v, http.StatusOK, "notice.html", &view{Title: say("confirm_elsewhere_title"), Viewer: who, Notice: &notice{
		Kind: "note", Text: say("confirm_elsewhere_text"),
		Links: []link{{Link: say("signout_button"), Path: p.site.Path("/signout")}, {Link: say("home"), Path: p.Home}},
	}})
}

// leadToSignIn leads to the program's own sign-in page, with what was asked of
// the one here.
func (p *Pages) leadToSignIn(v visit) {
	if q := v.r.URL.Query(); q.Get("check") == "1" {
		p.checkCookies(v, p.returnTo(q.Get("return_to")))
		return
	}
	to := url.URL{Path: p.SignInPage, RawQuery: v.r.URL.RawQuery}
	p.leadOn(v, say("signin_title"), p.api.HandOver(v.w, v.r, to.String()))
}

// checkCookies is where a sign-in leads, and a renewal: it finds out whether the
// browser kept the cookies. If not, it says so once and goes nowhere.
func (p *Pages) checkCookies(v visit, returnTo string) {
	if httpauth.CarriesCookie(v.r) {
		p.leadOn(v, say("already_title"), returnTo)
		return
	}
	p.render(v, http.StatusOK, "notice.html", &view{Title: say("cookies_title"), Failed: true, Notice: &notice{
		Kind: "bad", Text: say("cookies_text"), Links: []link{{Link: say("cookies_again"), Path: p.signInPath(returnTo)}},
	}})
}

func (p *Pages) signInView(in signIn) *view {
	f := &form{Action: p.site.Path("/signin"), Button: say("signin_button")}
	if in.returnTo != p.Home {
		f.Hidden = append(f.Hidden, hidden{"return_to", in.returnTo})
	}
	password := field{Name: "password", Label: say("field_password"), Secret: true, Autocomplete: "current-password"}
	page := &view{Title: say("signin_title"), Form: f, Viewer: in.confirming}
	if in.confirm {
		page.Title, page.Lead, f.Button = say("confirm_title"), say("confirm_lead"), say("confirm_button")
		f.Hidden = append(f.Hidden, hidden{"confirm", "1"})
		f.Person, f.Manager, f.Fields = &person{in.username}, in.username, []field{password}
		if in.confirming != nil {
			f.Person, f.Manager = &in.confirming.person, in.confirming.Name
		}
		page.Other = &link{Link: say("confirm_switch"), Path: p.signInPath(in.returnTo, "switch")}
		return page
	}
	f.Fields = []field{{Name: "username", Label: say("field_username"), Autocomplete: "username", Value: in.username}, password}
	f.Remember, f.Remembered = true, in.remember
	if p.api.AllowSignup {
		page.Other = &link{Text: say("signin_other"), Link: say("signin_to_signup"), Path: p.pathTo("/signup", in.returnTo)}
	}
	return page
}

func (p *Pages) renderSignIn(v visit, status int, page *view) {
	page.Form.focus()
	page.Script = p.site.form
	p.render(v, status, "signin.html", page)
}

// signIn signs in, and leads on by way of a look at whether the cookies were
// kept.
func (p *Pages) signIn(v visit) {
	values, err := readForm(v.r, []string{"username", "password"}, []string{"new_password", "remember", "confirm", "return_to"})
	if err != nil {
		p.fail(v, err)
		return
	}
	in := signIn{username: values["username"], remember: values["remember"] == "1", confirm: values["confirm"] == "1",
		returnTo: p.returnTo(values["return_to"]), confirming: p.viewer(v.r)}
	page := p.signInView(in)
	asked := httpapi.Credentials{Username: in.username, Password: account.NewPassword(values["password"]), Remember: in.remember, Confirm: in.confirm}
	if text, ok := values["new_password"]; ok {
		next := account.NewPassword(text)
		page, asked.NewPassword = p.chooseView(in), &next
	}
	if empty(page.Form, values, map[string]string{"username": "fill_username", "password": "fill_password", "new_password": "fill_new"}) {
		page.Failed = true
		p.renderSignIn(v, http.StatusUnprocessableEntity, page)
		return
	}
	_, err = p.api.SignIn(v.w, v.r, asked)
	switch {
	case err == nil:
		p.goOn(v, in.returnTo)
	case errors.Is(err, account.ErrInitialPassword):
		p.renderSignIn(v, http.StatusForbidden, p.chooseView(in))
	case errors.Is(err, account.ErrNotInitial):
		p.renderOwnPassword(v, in)
	default:
		p.renderFailure(v, page, err, "password", "new_password", p.renderSignIn)
	}
}

// goOn leads on after a sign-in or a renewal.
func (p *Pages) goOn(v visit, returnTo string) {
	p.redirect(v, p.signInPath(returnTo, "check"))
}

// renderFailure shows a form again with what went wrong, or the page for what
// cannot be mended there.
func (p *Pages) renderFailure(v visit, page *view, err error, secret, fresh string, render func(visit, int, *view)) {
	d := describe(err)
	if !p.explain(v, page, err, secret, fresh) {
		p.fail(v, err)
		return
	}
	p.log(v, err)
	p.retryAfter(v, d)
	page.Failed = true
	render(v, formStatus(d.Status), page)
}

// empty marks the fields that were sent empty, and reports whether there are
// any.
func empty(f *form, values, ask map[string]string) bool {
	found := false
	for i := range f.Fields {
		if key, ok := ask[f.Fields[i].Name]; ok && values[f.Fields[i].Name] == "" {
			f.Fields[i].Fault, found = say(key), true
		}
	}
	return found
}
