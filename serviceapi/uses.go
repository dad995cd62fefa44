package serviceapi

import (
	"net/http"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/session"
)

// Bounds of a report of uses.
const (
	maxUses     = 256
	maxUsesBody = 64 << 10
)

// used is one access token that was seen in use.
type used struct {
	Session    session.ID `json:"session"`
	Generation uint32     `json:"generation"`
	IssuedAt   int64      `json:"issued_at"` // "iat" of the token: seconds since 1970
}

// uses takes in what a follower saw: the first settled use of a generation is
// what confirms it. All of a report is taken in, or none of it.
func (a *API) uses(w http.ResponseWriter, c *call) error {
	var in struct {
		Uses []used `json:"uses"`
	}
	if err := httpapi.ReadJSON(w, c.Request, &in, maxUsesBody); err != nil {
		return err
	}
	if len(in.Uses) == 0 || len(in.Uses) > maxUses {
		return httpapi.ErrBody
	}
	for _, u := range in.Uses {
		if u.Session.IsZero() || u.Generation == 0 || u.IssuedAt <= 0 {
			return httpapi.ErrBody
		}
	}
	now := a.API.Guard.Now()
	for _, u := range in.Uses {
		a.Note(session.Use{Session: u.Session, Generation: u.Generation, IssuedAt: time.Unix(u.IssuedAt, 0)}, now)
	}
	return done(w, nil)
}
