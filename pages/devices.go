package pages

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/token"
)

// A device is one of the user's sessions as the page shows it.
type device struct {
	ID         string
	Label      phrase // empty: not known
	Network    string // empty: not kept
	Place      string // empty: not known
	Current    bool
	App        bool // not a browser
	Phone      bool
	Bound      bool // to a key that does not leave the device
	Ago        phrase
	Since      phrase
	SinceStamp string
}

// unknownLabel is what httpapi calls a device that it does not recognise.
const unknownLabel = "Unknown device"

// label says a device's label in the language: httpapi gives "Firefox on
// Linux" in English.
func (v visit) label(english string) phrase {
	if english == unknownLabel {
		return ""
	}
	browser, system, both := strings.Cut(english, " on ")
	if !both {
		return phrase(isolate + english + endIsolate)
	}
	return phrase(strings.NewReplacer("{browser}", isolate+browser+endIsolate, "{system}", isolate+system+endIsolate).
		Replace(v.l.words["devices_label"]))
}

func (p *Pages) device(v visit, d *httpapi.Device) device {
	return device{
		ID: d.ID, Label: v.label(d.Label), Network: d.Address, Place: d.Place, Current: d.Current, App: d.Transport == "bearer",
		Phone: slices.ContainsFunc([]string{"Android", "iPhone", "iOS"}, func(s string) bool { return strings.Contains(d.Label, s) }),
		Bound: d.Binding != "none", Ago: v.l.ago(p.api.Guard.Now().Sub(d.LastSeen)),
		Since: v.l.date(d.CreatedAt), SinceStamp: d.CreatedAt.UTC().Format(time.RFC3339),
	}
}

// done are what a form has done, as the query tells it here.
var done = map[string]message{
	"one": say("devices_done_one"), "others": say("devices_done_others"), "password": say("devices_done_password"),
}

// donePath leads to the list of devices, which says what was done. The link has
// a receipt, since anybody can make a link that says anything.
func (p *Pages) donePath(userID, what string) string {
	query := url.Values{"done": {what}, "receipt": {p.api.Guard.CSRF.Token(receiptOf(userID, what))}}
	return p.site.Path("/devices") + suffix(query)
}

// receiptOf is what a receipt is made for: like a CSRF token, but for no
// session, so that it is of no use as one.
func receiptOf(userID, what string) token.ID {
	sum := sha256.Sum256([]byte("done\x00" + what + "\x00" + userID))
	return token.ID(sum[:len(token.ID{})])
}

// doneAlert says what was done, if the link has the receipt for it.
func (p *Pages) doneAlert(r *http.Request, userID string) *alert {
	query := r.URL.Query()
	what := query.Get("done")
	m, ok := done[what]
	if !ok || !p.api.Guard.CSRF.Check(receiptOf(userID, what), query.Get("receipt")) {
		return nil
	}
	return &alert{Kind: "good", Title: m}
}

func (p *Pages) showDevices(v visit) {
	p.renderDevices(v, http.StatusOK, &view{Alert: again(v.r)})
}

func (p *Pages) renderDevices(v visit, status int, page *view) {
	read := asRead(v.r)
	who, err := p.api.Viewer(read)
	if err != nil {
		p.refuse(v, err)
		return
	}
	if page.Alert == nil {
		page.Alert = p.doneAlert(v.r, who.UserID)
	}
	list, err := p.api.Devices(read)
	if err != nil {
		p.refuse(v, err)
		return
	}
	for i := range list {
		d := p.device(v, &list[i])
		page.Others = page.Others || !d.Current
		if d.Current {
			page.Devices = append([]device{d}, page.Devices...)
		} else {
			page.Devices = append(page.Devices, d)
		}
	}
	page.Title, page.Viewer, page.Nav, page.Script = say("devices_title"), shown(who), "devices", p.site.form
	p.render(v, status, "devices.html", page)
}

// asRead is the request as if it only asked to see the page.
func asRead(r *http.Request) *http.Request {
	if r.Method == http.MethodGet {
		return r
	}
	r = r.Clone(r.Context())
	r.Method = http.MethodGet
	return r
}

// othersToEnd is what the form sends instead of the id of a device.
const othersToEnd = "others"

// endDevice ends one session, or all others. One that is gone already is as
// good as ended.
func (p *Pages) endDevice(v visit) {
	values, err := readForm(v.r, []string{"end"}, nil)
	if err != nil {
		p.fail(v, err)
		return
	}
	who, err := p.api.Viewer(asRead(v.r))
	if err != nil {
		p.refuse(v, err)
		return
	}
	ended := "one"
	if values["end"] == othersToEnd {
		ended, err = "others", p.api.EndOtherDevices(v.r)
	} else if err = p.api.EndDevice(v.r, values["end"]); err != nil && describe(err).Status == http.StatusNotFound {
		err = nil
	}
	switch {
	case err == nil:
		p.redirect(v, p.donePath(who.UserID, ended))
	case needsLogin(describe(err)):
		p.refuse(v, err)
	default:
		p.renderFailure(v, &view{Form: &form{}}, err, "", "", p.renderDevices)
	}
}
