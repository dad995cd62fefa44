package httpapi

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// session answers with the session document. It reads only what no renewal
// changes.
func (a *API) session(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Guard.Identify(r)
	if err != nil {
		return err
	}
	row, _, err := a.Engine.Get(r.Context(), p.Session)
	if err != nil {
		return err
	}
	if row.Ended() {
		return verify.ErrRevoked // the feed will say so in a moment
	}
	return a.present(w, r, p, &row)
}

// present answers with the document of whoever presents an access token.
func (a *API) present(w http.ResponseWriter, r *http.Request, p *verify.Principal, row *session.Row) error {
	name, err := a.userName(r.Context(), p.UserID)
	if err != nil {
		return err
	}
	d := a.presentedDocument(p, row, name)
	body, err := json.Marshal(&d)
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// A Device is a session as its user sees it in the list.
type Device struct {
	ID        string    `json:"id"`
	Current   bool      `json:"current"` // the one that asks
	CreatedAt time.Time `json:"created_at"`
	LastSeen  time.Time `json:"last_seen"`        // by the hour
	Label     string    `json:"device"`           // "Firefox on Linux", in words of our own
	Address   string    `json:"address,omitzero"` // a network, not a host
	Place     string    `json:"place,omitzero"`   // of the network, if Options.Place says one
	Transport string    `json:"transport"`        // "cookie" or "bearer"
	Binding   string    `json:"binding"`          // "none", or what the session is bound by
}

// Devices returns the live sessions of the user who asks, newest login first.
// The error, if any, is for [API.Refuse] or [Describe].
func (a *API) Devices(r *http.Request) ([]Device, error) {
	p, err := a.Guard.Authenticate(r)
	if err != nil {
		return nil, err
	}
	r, cancel := bounded(r)
	defer cancel()
	rows, _, err := a.Engine.List(r.Context(), p.UserID)
	if err != nil {
		return nil, err
	}
	devices := make([]Device, len(rows))
	for i := range rows {
		row := &rows[i]
		devices[i] = Device{
			ID: row.ID.String(), Current: row.ID == p.Session, CreatedAt: stamp(row.CreatedAt), LastSeen: stamp(row.LastSeen),
			Label: deviceLabel(row.UserAgent), Address: row.Address, Place: a.place(row.Address), Transport: string(row.Transport), Binding: bindingName(row.Binding.Kind),
		}
	}
	return devices, nil
}

// place names the place of a network as a row has it.
func (a *API) place(address string) string {
	network, err := netip.ParsePrefix(address)
	if a.Place == nil || err != nil {
		return ""
	}
	return a.Place(network)
}

// sessions is [API.Devices] for whoever wants JSON.
func (a *API) sessions(w http.ResponseWriter, r *http.Request) error {
	devices, err := a.Devices(r)
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Sessions []Device `json:"sessions"`
	}{devices})
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// EndDevice ends the one of the user's sessions that [Device].ID names; it
// needs a recent login. One that ended before is no error; one of somebody
// else's does not exist. No cookie is written, even if it is the session that
// asks. The error, if any, is for [API.Refuse] or [Describe].
func (a *API) EndDevice(r *http.Request, id string) error {
	p, err := a.identifyRecent(r)
	if err != nil {
		return err
	}
	which, err := token.ParseID(id)
	if err != nil {
		return errNoSession
	}
	r, cancel := bounded(r)
	defer cancel()
	row, _, err := a.Engine.Get(r.Context(), which)
	switch {
	case errors.Is(err, session.ErrRefused): // there is no row
		return errNoSession
	case err != nil:
		return err
	case row.UserID != p.UserID:
		return errNoSession
	}
	return a.endOwn(r, session.Selection{Session: which})
}

// EndOtherDevices ends all of the user's sessions but the one that asks;
// otherwise it is as [API.EndDevice].
func (a *API) EndOtherDevices(r *http.Request) error {
	p, err := a.identifyRecent(r)
	if err != nil {
		return err
	}
	r, cancel := bounded(r)
	defer cancel()
	if a.Services != nil {
		// What a sign-in that is under way elsewhere would end with.
		if err := a.Services.Drop(r.Context(), p.UserID); err != nil {
			return err
		}
	}
	return a.endOwn(r, session.Selection{User: p.UserID, Except: p.Session})
}

func (a *API) endOwn(r *http.Request, which session.Selection) error {
	_, err := a.Engine.End(r.Context(), which, session.ReasonEndedByUser, "", a.Guard.Proxies.Origin(r))
	return err
}

func (a *API) endSession(w http.ResponseWriter, r *http.Request) error {
	return a.done(w, a.EndDevice(r, r.PathValue("id")))
}

func (a *API) endOthers(w http.ResponseWriter, r *http.Request) error {
	return a.done(w, a.EndOtherDevices(r))
}

// done answers what has nothing to say.
func (a *API) done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
