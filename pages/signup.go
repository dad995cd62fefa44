package pages

import (
	"net/http"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
)

// showSignUp asks for a name and a password, if accounts are made here.
func (p *Pages) showSignUp(v visit) {
	if !p.api.AllowSignup {
		p.fail(v, errSignUpOff)
		return
	}
	returnTo := p.returnTo(v.r.URL.Query().Get("return_to"))
	p.renderSignUp(v, http.StatusOK, p.signUpView(v, returnTo, "", false))
}

func (p *Pages) signUpView(v visit, returnTo, username string, remember bool) *view {
	f := &form{Action: p.site.Path("/signup"), Button: say("signup_button"), Remember: true, Remembered: remember}
	if returnTo != p.Home {
		f.Hidden = append(f.Hidden, hidden{"return_to", returnTo})
	}
	f.Fields = []field{
		{Name: "username", Label: say("field_username"), Autocomplete: "username", Value: username, Hint: say("signup_username_hint")},
		p.freshPassword("password", say("field_password")),
	}
	return &view{Title: say("signup_title"), Form: f, Viewer: p.viewer(v.r),
		Other: &link{Text: say("signup_other"), Link: say("signup_to_signin"), Path: p.signInPath(returnTo)}}
}

// freshPassword is a field for a password to be set, with its one rule that
// can be told beforehand.
func (p *Pages) freshPassword(name string, label message) field {
	return field{Name: name, Label: label, Secret: true, Autocomplete: "new-password", Hint: say("field_new_hint", "min", p.MinPassword)}
}

func (p *Pages) renderSignUp(v visit, status int, page *view) {
	page.Form.focus()
	page.Script = p.site.form
	p.render(v, status, "signin.html", page)
}

// signUp makes an account and signs its user in.
func (p *Pages) signUp(v visit) {
	values, err := readForm(v.r, []string{"username", "password"}, []string{"remember", "return_to"})
	if err != nil {
		p.fail(v, err)
		return
	}
	returnTo, remember := p.returnTo(values["return_to"]), values["remember"] == "1"
	page := p.signUpView(v, returnTo, values["username"], remember)
	if empty(page.Form, values, map[string]string{"username": "failed_name_empty", "password": "fill_new"}) {
		page.Failed = true
		p.renderSignUp(v, http.StatusUnprocessableEntity, page)
		return
	}
	_, err = p.api.SignUp(v.w, v.r, httpapi.Credentials{Username: values["username"],
		Password: account.NewPassword(values["password"]), Remember: remember})
	if err != nil {
		p.renderFailure(v, page, err, "", "password", p.renderSignUp)
		return
	}
	p.goOn(v, returnTo)
}

// errSignUpOff is what httpapi answers to the form, said before it is filled
// in.
var errSignUpOff = &formError{httpapi.Description{Status: http.StatusForbidden, Code: "signup_off"}}
