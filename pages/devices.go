package pages

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/httpapi"
)

// A device is one of the user's sessions as the page shows it.
type device struct {
	ID         string
	Label      phrase // empty: not known
	Network    string // empty: not kept
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
		ID: d.ID, Label: v.label(d.Label), Network: d.Address, Current: d.Current, App: d.Transport == "bearer",
		Phone: slices.ContainsFunc([]string{"Android", "iPhone", "iOS"}, func(s string) bool { return strings.Contains(d.Label, s) }),
		Bound: d.Binding != "none", Ago: v.l.ago(p.api.Guard.Now().Sub(d.LastSeen)),
		Since: v.l.date(d.CreatedAt), SinceStamp: d.CreatedAt.UTC().Format(time.RFC3339),
	}
}

// done are what a form of this page has done, as the query tells it.
var done = map[string]message{
	"one": say("devices_done_one"), "others": say("devices_done_others"), "password": say("devices_done_password"),
}

func (p *Pages) showDevices(v visit) {
	what := again(v.r)
	if m, ok := done[v.r.URL.Query().Get("done")]; ok {
		what = &alert{Kind: "good", Title: m}
	}
	p.renderDevices(v, http.StatusOK, &view{Alert: what})
}

func (p *Pages) renderDevices(v visit, status int, page *view) {
	read := asRead(v.r)
	who, err := p.api.Viewer(read)
	if err != nil {
		p.refuse(v, err)
		return
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
	ended := "one"
	if values["end"] == othersToEnd {
		ended, err = "others", p.api.EndOtherDevices(v.r)
	} else if err = p.api.EndDevice(v.r, values["end"]); err != nil && describe(err).Status == http.StatusNotFound {
		err = nil
	}
	switch {
	case err == nil:
		p.redirect(v, p.site.Path("/devices?done="+ended))
	case needsLogin(describe(err)):
		p.refuse(v, err)
	default:
		p.renderFailure(v, &view{Form: &form{}}, err, "", "", p.renderDevices)
	}
}
