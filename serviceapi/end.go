package serviceapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// endSession ends one session. That there is none is as good.
func (a *API) endSession(w http.ResponseWriter, c *call) error {
	id, err := token.ParseID(c.id)
	if err != nil || id.IsZero() {
		return errNotFound
	}
	r, cancel := bounded(c.Request)
	defer cancel()
	_, err = a.engine.End(r.Context(), session.Selection{Session: id}, session.ReasonOperator, c.service, c.from)
	return done(w, err)
}

// endSessionsOf ends all sessions of a user. That there are none is as good.
func (a *API) endSessionsOf(w http.ResponseWriter, c *call) error {
	r, cancel := bounded(c.Request)
	defer cancel()
	_, err := a.endAllOf(r.Context(), c, c.id, session.ReasonOperator)
	return done(w, err)
}

// endAllOf ends all sessions of a user, and takes back the codes that would
// become some. A code that a browser is redeeming in between either is found
// gone, once its session is stored, or that session is found here.
func (a *API) endAllOf(ctx context.Context, c *call, userID string, why session.Reason) ([]session.Ended, error) {
	if err := a.API.Services.Drop(ctx, userID); err != nil {
		return nil, err
	}
	return a.engine.End(ctx, session.Selection{User: userID}, why, c.service, c.from)
}

// revokeUser ends all sessions of a user, as other products ask for it
// (draft-parecki-oauth-global-token-revocation §2; subjects as in RFC 9493).
// From then on no token of the user's is good anywhere within a second, and the
// next takes a login.
func (a *API) revokeUser(w http.ResponseWriter, c *call) error {
	var in struct {
		Subject *struct {
			Format  string `json:"format"`
			ID      string `json:"id"`  // of "opaque"
			Issuer  string `json:"iss"` // of "iss_sub"
			Subject string `json:"sub"` // of "iss_sub"
		} `json:"sub_id"`
	}
	if err := httpapi.ReadJSON(w, c.Request, &in, maxBody); err != nil {
		return err
	}
	if in.Subject == nil {
		return httpapi.ErrBody
	}
	s := in.Subject
	userID := s.ID
	switch s.Format {
	case "opaque":
		if s.Issuer != "" || s.Subject != "" {
			return httpapi.ErrBody
		}
	case "iss_sub":
		if userID = s.Subject; s.ID != "" || s.Issuer == "" {
			return httpapi.ErrBody
		}
	default:
		return httpapi.ErrBody
	}
	if !validUserID(userID) {
		return httpapi.ErrBody
	}
	if s.Format == "iss_sub" && s.Issuer != a.engine.Issuer {
		return errSubject
	}
	r, cancel := bounded(c.Request)
	defer cancel()
	ended, err := a.endAllOf(r.Context(), c, userID, session.ReasonOperator)
	if err == nil && len(ended) == 0 {
		err = a.checkKnown(r.Context(), userID)
	}
	return done(w, err)
}

// checkKnown returns [errNoUser] if there is neither an account of that id nor
// a session, not even one that is over.
func (a *API) checkKnown(ctx context.Context, userID string) error {
	_, err := a.Accounts.ByID(ctx, userID)
	if !errors.Is(err, account.ErrNotFound) {
		return err
	}
	known, err := a.engine.Known(ctx, userID)
	if err == nil && !known {
		return errNoUser
	}
	return err
}

// endEveryone ends all sessions of everybody.
func (a *API) endEveryone(w http.ResponseWriter, c *call) error {
	r, cancel := bounded(c.Request)
	defer cancel()
	epoch, err := a.engine.EndEveryone(r.Context(), session.ReasonEveryone, c.service, c.from)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Epoch int64 `json:"epoch"`
	}{epochOf(epoch)})
}
