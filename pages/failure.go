package pages

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
)

// A notice is a page that has only something to say.
type notice struct {
	Kind   string // "bad" or "good"
	Text   message
	Links  []link
	Status int    // with Code
	Code   string // of the API; empty: it is no failure
}

// Error answers with the page for a failure, in the language of the browser.
// It is for [httpapi.Options].Page, which is called with what the answer
// depends on already said.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, d httpapi.Description) {
	w.Header().Add("Vary", "Accept-Language")
	p.showFailure(visit{w, r, p.tongues.of(r)}, d)
}

// fail logs what is our own fault and shows the page for it.
func (p *Pages) fail(v visit, err error) {
	p.log(v, err)
	p.showFailure(v, describe(err))
}

func (p *Pages) log(v visit, err error) {
	if d := describe(err); d.Status >= http.StatusInternalServerError {
		p.api.Log.LogAttrs(v.r.Context(), slog.LevelError, "page failed",
			slog.String("page", v.r.URL.Path), slog.String("code", d.Code), slog.Any("error", err))
	}
}

func (p *Pages) showFailure(v visit, d httpapi.Description) {
	p.retryAfter(v, d)
	key := "error_" + d.Code
	if !v.l.has(key + "_title") {
		key = "error_" + strconv.Itoa(statusKind(d.Status))
	}
	n := &notice{Kind: "bad", Text: say(key+"_text", "wait", v.l.wait(d.RetryAfter)), Status: formStatus(d.Status), Code: d.Code}
	if to := p.wayOut(v, d); to != "" {
		n.Links = append(n.Links, link{Link: say("error_new_tab"), Path: to, NewTab: true})
	}
	if again, ok := httpauth.LocalPath(v.r.URL.RequestURI()); ok && d.RetryAfter > 0 && v.r.Method == http.MethodGet {
		n.Links = append(n.Links, link{Link: say("error_again"), Path: again})
	}
	n.Links = append(n.Links, link{Link: say("home"), Path: p.site.Home})
	p.render(v, formStatus(d.Status), "notice.html", &view{Title: say(key + "_title"), Failed: true, Notice: n})
}

// wayOut leads to where a login that does not count, or not enough, is mended;
// empty: nowhere. What failed is a form, most likely of the application, whose
// page is only a step back.
func (p *Pages) wayOut(v visit, d httpapi.Description) string {
	if !needsLogin(d) {
		return ""
	}
	_, err := p.api.Viewer(asRead(v.r))
	switch {
	case expired(v.r, err):
		return p.pathTo("/renew", p.Home)
	case err != nil, d.Code == "login_required":
		return p.signInPath(p.Home)
	case d.Code == "login_methods_required" && p.SignInPage == "":
		return "" // the page here knows passwords only
	}
	return p.signInPath(p.Home, "confirm")
}

// statusKind is the nearest status that there are words for.
func statusKind(status int) int {
	switch status {
	case 403, 404, 413, 421, 429, 503:
		return status
	case http.StatusUnauthorized:
		return http.StatusForbidden
	}
	if status >= 500 {
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// formStatus is the status of a page for an outcome: a page is no challenge
// for credentials of HTTP, so what would be one is forbidden (RFC 9110
// §15.5.2, §15.5.4).
func formStatus(status int) int {
	if status == http.StatusUnauthorized {
		return http.StatusForbidden
	}
	return status
}

func (p *Pages) retryAfter(v visit, d httpapi.Description) {
	if d.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", fmt.Sprint(int64((d.RetryAfter+time.Second-1)/time.Second)))
	}
}

// refuse answers a page or its form that needs a login which the browser does
// not have. A form is led on as if the page had been opened: to the renewal or
// to sign in, and from there back to the page, which says what became of it.
func (p *Pages) refuse(v visit, err error) {
	if v.r.Method != http.MethodPost {
		p.api.Refuse(v.w, v.r, err)
		return
	}
	// Whether another site sent it does not depend on who is signed in.
	if crossSite := p.api.Guard.CrossSite(v.r); crossSite != nil {
		p.fail(v, crossSite)
		return
	}
	renewable := expired(v.r, err)
	if p.SignInPage != "" && !renewable {
		p.fail(v, err) // that page may lead to another site: see leadOn
		return
	}
	// After a renewal or a confirmation it is sure that nothing was done. A
	// session that ended may have ended by this form, if it was sent twice.
	query := "ended=1"
	if renewable || errors.Is(err, httpauth.ErrRecentLogin) {
		query = "again=1"
	}
	r := v.r.Clone(v.r.Context())
	r.Method, r.Body = http.MethodGet, http.NoBody
	r.URL = &url.URL{Path: r.URL.Path, RawQuery: query}
	r.RequestURI = r.URL.RequestURI()
	p.api.Refuse(v.w, r, err)
}

// needsLogin reports whether a failure is mended by renewing, by signing in,
// or by confirming who it is.
func needsLogin(d httpapi.Description) bool {
	switch d.Code {
	case "login_required", "recent_login_required", "login_methods_required":
		return true
	}
	return false
}

// again is the alert of a page that was led to after its form.
func again(r *http.Request) *alert {
	switch q := r.URL.Query(); {
	case q.Get("again") == "1":
		return &alert{Kind: "note", Title: say("renewed_again"), Text: say("renewed_again_text")}
	case q.Get("ended") == "1":
		return &alert{Kind: "note", Title: say("ended_again"), Text: say("ended_again_text")}
	}
	return nil
}

// explain puts what went wrong with a form where it can be mended, and reports
// whether that was possible. secret is the field of the password that was
// tried, fresh that of one to be set; each may be empty.
func (p *Pages) explain(v visit, page *view, err error, secret, fresh string) bool {
	d := describe(err)
	fault := func(name string, m message) bool {
		for i := range page.Form.Fields {
			if page.Form.Fields[i].Name == name {
				page.Form.Fields[i].Fault = m
				return true
			}
		}
		return false
	}
	wrong, isPassword := errors.AsType[*account.PasswordError](err)
	name, isName := errors.AsType[*account.NameError](err)
	switch {
	case isPassword && fresh != "":
		return fault(fresh, v.choose("failed_password", wrong.Rule, "min", wrong.Min))
	case isName && fresh != "":
		return fault("username", v.choose("failed_name", name.Rule))
	case d.Code == "name_taken":
		return fault("username", say("failed_name_taken"))
	case d.Code == "wrong_password":
		return fault(secret, say("failed_current"))
	case d.Code == "login_failed" && page.Form.Manager != "":
		return fault(secret, say("failed_confirm"))
	case d.Code == "login_failed":
		page.Alert = &alert{"bad", say("failed_login_failed"), say("failed_login_failed_text")}
	case d.Status == http.StatusTooManyRequests:
		page.Alert = &alert{"bad", say("failed_throttled"), say("failed_throttled_text", "wait", v.l.wait(d.RetryAfter))}
	case d.Status == http.StatusServiceUnavailable:
		page.Alert = &alert{"bad", say("failed_busy"), say("failed_busy_text", "wait", v.l.wait(d.RetryAfter))}
	case d.Code == "csrf_token_required", d.Code == "cross_site" && v.r.Header.Get("Sec-Fetch-Site") == "":
		// Only without Sec-Fetch-Site can it have been a page of ours.
		page.Alert = &alert{"bad", say("failed_stale"), say("failed_stale_text")}
	default:
		return false
	}
	return true
}

// choose says the words for one rule, or those for any.
func (v visit) choose(key, rule string, fill ...any) message {
	if v.l.has(key + "_" + rule) {
		key += "_" + rule
	}
	return say(key, fill...)
}
