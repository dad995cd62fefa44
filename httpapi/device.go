package httpapi

import (
	"net/http"
	"slices"

	"github.com/mileusna/useragent"

	"github.com/pawlauth/pawl/session"
)

// knownClients are the names that a label may carry. The library names a
// client that it does not know by what that client says of itself, which is no
// text for a page of ours.
var knownClients = []string{
	useragent.Chrome, useragent.Edge, useragent.Firefox, useragent.InternetExplorer, useragent.Opera, useragent.OperaMini,
	useragent.OperaTouch, useragent.Safari, useragent.SamsungBrowser, useragent.Vivaldi, "curl",
}

// A family is what stays the same about a device while its software is
// updated. Empty parts are not known.
type family struct{ client, system string }

// familyOf takes only words of the library's own out of a User-Agent.
func familyOf(userAgent string) (f family) {
	ua := useragent.Parse(userAgent)
	if slices.Contains(knownClients, ua.Name) {
		f.client = ua.Name
	}
	f.system = ua.OS
	if ua.OS == useragent.IOS && (ua.Device == "iPhone" || ua.Device == "iPad") {
		f.system = ua.Device
	}
	return f
}

// deviceLabel is how a user may recognise a device: "Firefox on Linux".
func deviceLabel(userAgent string) string {
	f := familyOf(userAgent)
	switch {
	case f.client != "" && f.system != "":
		return f.client + " on " + f.system
	case f.client != "" || f.system != "":
		return f.client + f.system
	}
	return "Unknown device"
}

// noteContext records that a session is renewed by another kind of device than
// the one that signed in. That is a signal of risk and no proof of theft, so
// nothing is refused: browsers let their users choose what they call
// themselves (OWASP Cookie Theft Mitigation cheat sheet; NIST SP 800-63B-4
// §5.3). A session that began without a User-Agent has nothing to compare with.
func (a *API) noteContext(r *http.Request, row *session.Row) {
	now := a.Guard.Proxies.Origin(r)
	if row.UserAgent == "" || row.UserAgent == now.UserAgent || familyOf(row.UserAgent) == familyOf(now.UserAgent) {
		return
	}
	reason := "user_agent"
	if row.Address != "" && row.Address != now.Address {
		reason = "user_agent_and_network"
	}
	a.Engine.Record(session.Event{Type: session.EventContextChanged, Reason: reason, UserID: row.UserID, ClientID: row.ClientID,
		Session: a.Engine.Pseudonym(row.ID), Generation: row.Generation, Origin: now})
}
