package pages

import (
	"net/http"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
)

// showPassword asks for the current password and a new one (OWASP ASVS 5.0
// §6.2.2, §6.2.3).
func (p *Pages) showPassword(v visit) {
	who, err := p.api.Viewer(asRead(v.r))
	if err != nil {
		p.refuse(v, err)
		return
	}
	page := p.passwordView(who)
	page.Alert = again(v.r)
	p.renderPassword(v, http.StatusOK, page)
}

func (p *Pages) passwordView(who httpapi.Viewer) *view {
	return &view{Title: say("password_title"), Viewer: shown(who), Form: &form{
		Action: p.site.Path("/password"), Button: say("password_button"), Manager: who.Username,
		Fields: []field{
			{Name: "current", Label: say("field_current"), Secret: true, Autocomplete: "current-password"},
			p.freshPassword("new", say("field_new")),
		},
	}}
}

func (p *Pages) renderPassword(v visit, status int, page *view) {
	page.Form.focus()
	page.Nav, page.Script = "password", p.site.form
	p.render(v, status, "password.html", page)
}

// changePassword sets the new password; the other devices are signed out.
func (p *Pages) changePassword(v visit) {
	values, err := readForm(v.r, []string{"current", "new"}, []string{"username"})
	if err != nil {
		p.fail(v, err)
		return
	}
	who, err := p.api.Viewer(asRead(v.r))
	if err != nil {
		p.refuse(v, err)
		return
	}
	page := p.passwordView(who)
	if empty(page.Form, values, map[string]string{"current": "fill_current", "new": "fill_new"}) {
		page.Failed = true
		p.renderPassword(v, http.StatusUnprocessableEntity, page)
		return
	}
	err = p.api.ChangePassword(v.w, v.r, account.NewPassword(values["current"]), account.NewPassword(values["new"]))
	switch {
	case err == nil:
		p.redirect(v, p.donePath(who.UserID, "password"))
	case needsLogin(describe(err)):
		p.refuse(v, err)
	default:
		p.renderFailure(v, page, err, "current", "new", p.renderPassword)
	}
}
