package httpapi

import (
	"errors"
	"net/http"
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
	name, err := a.userName(r.Context(), p.UserID)
	if err != nil {
		return err
	}
	d := a.presentedDocument(p, &row, name)
	body, err := json.Marshal(&d)
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// A device is a session as its user sees it in the list.
type device struct {
	ID        session.ID        `json:"id"`
	Current   bool              `json:"current"`
	CreatedAt time.Time         `json:"created_at"`
	LastSeen  time.Time         `json:"last_seen"` // by the hour
	Label     string            `json:"device"`
	Address   string            `json:"address,omitzero"` // a network, not a host
	Transport session.Transport `json:"transport"`
	Binding   string            `json:"binding"`
}

// sessions lists the user's live sessions, newest login first.
func (a *API) sessions(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Guard.Identify(r)
	if err != nil {
		return err
	}
	rows, _, err := a.Engine.List(r.Context(), p.UserID)
	if err != nil {
		return err
	}
	list := struct {
		Sessions []device `json:"sessions"`
	}{make([]device, 0, len(rows))}
	for i := range rows {
		row := &rows[i]
		list.Sessions = append(list.Sessions, device{
			ID: row.ID, Current: row.ID == p.Session, CreatedAt: stamp(row.CreatedAt), LastSeen: stamp(row.LastSeen),
			Label: deviceLabel(row.UserAgent), Address: row.Address, Transport: row.Transport, Binding: bindingName(row.Binding.Kind),
		})
	}
	body, err := json.Marshal(&list)
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// endSession ends one of the user's sessions. One that ended before is no
// error; one of somebody else's does not exist.
func (a *API) endSession(w http.ResponseWriter, r *http.Request) error {
	p, err := a.identifyRecent(r)
	if err != nil {
		return err
	}
	id, err := token.ParseID(r.PathValue("id"))
	if err != nil {
		return errNoSession
	}
	row, _, err := a.Engine.Get(r.Context(), id)
	switch {
	case errors.Is(err, session.ErrRefused): // there is no row
		return errNoSession
	case err != nil:
		return err
	case row.UserID != p.UserID:
		return errNoSession
	}
	return a.endOwn(w, r, session.Selection{Session: id})
}

// endOthers ends all of the user's sessions but the one that asks.
func (a *API) endOthers(w http.ResponseWriter, r *http.Request) error {
	p, err := a.identifyRecent(r)
	if err != nil {
		return err
	}
	return a.endOwn(w, r, session.Selection{User: p.UserID, Except: p.Session})
}

func (a *API) endOwn(w http.ResponseWriter, r *http.Request, which session.Selection) error {
	_, err := a.Engine.End(r.Context(), which, session.ReasonEndedByUser, "", a.Guard.Proxies.Origin(r))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// identifyRecent is for what a stolen session must not be enough for: the
// login itself must be recent, whatever was renewed since (OWASP ASVS 5.0
// §7.5.2).
func (a *API) identifyRecent(r *http.Request) (*verify.Principal, error) {
	p, err := a.Guard.Identify(r)
	if err != nil {
		return nil, err
	}
	if a.Guard.Now().Sub(p.AuthTime) > a.RecentLogin {
		a.Engine.Record(session.Event{Type: session.EventAccessDenied, Reason: "recent_login_required", UserID: p.UserID,
			ClientID: p.ClientID, Session: a.Engine.Pseudonym(p.Session), Origin: a.Guard.Proxies.Origin(r)})
		return nil, errRecentLogin
	}
	return p, nil
}
