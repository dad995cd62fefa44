package pages

import "net/http"

// chooseView asks whoever has an initial password for one of his own. The
// initial one is typed again: no password is ever put into a page.
func (p *Pages) chooseView(in signIn) *view {
	f := &form{Action: p.site.Path("/signin"), Button: say("choose_button"), Remember: true, Remembered: in.remember}
	if in.returnTo != p.Home {
		f.Hidden = append(f.Hidden, hidden{"return_to", in.returnTo})
	}
	if in.confirm {
		f.Hidden, f.Remember = append(f.Hidden, hidden{"confirm", "1"}), false
	}
	f.Fields = []field{
		{Name: "username", Label: say("field_username"), Autocomplete: "username", Value: in.username},
		{Name: "password", Label: say("field_initial"), Secret: true, Autocomplete: "current-password", Hint: say("field_initial_hint")},
		p.freshPassword("new_password", say("field_new")),
	}
	return &view{Title: say("choose_title"), Lead: say("choose_lead"), Form: f, Viewer: in.confirming,
		Other: &link{Link: say("signup_to_signin"), Path: p.signInPath(in.returnTo)}}
}

// renderOwnPassword shows the sign-in to whoever has chosen a password
// already, perhaps in another window.
func (p *Pages) renderOwnPassword(v visit, in signIn) {
	page := p.signInView(in)
	page.Alert = &alert{Kind: "note", Title: say("choose_done"), Text: say("choose_done_text")}
	p.renderSignIn(v, http.StatusBadRequest, page)
}
