package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/session"
)

// A beginning is what a session begins from.
type beginning struct {
	user  *account.User // nil: Accounts do not know it
	login session.Login
	held  carried // the sessions that it replaces
	actor string  // the service that authenticated the user; empty: we did
	// last has the last word, once the session is stored. Nil: nobody has.
	last func(context.Context) error
}

// begin begins a session that replaces those whose cookies came along. With
// inherit, it is remembered as that which it replaces was. The user is nil if
// Accounts do not know it.
func (a *API) begin(r *http.Request, user *account.User, l session.Login, inherit bool) (session.Issued, error) {
	held, err := a.carried(r)
	if err != nil {
		return session.Issued{}, err
	}
	if inherit {
		if l.Remembered, err = a.remembered(r.Context(), l.UserID, held); err != nil {
			return session.Issued{}, err
		}
	}
	return a.beginFrom(r.Context(), beginning{user: user, login: l, held: held})
}

// beginFrom is the one way in which a session begins: the new one is stored,
// then those end that it replaces, and the oldest if there are too many.
// Whatever fails, it is the new one that ends, and the browser keeps what it
// has.
func (a *API) beginFrom(ctx context.Context, b beginning) (session.Issued, error) {
	issued, err := a.issue(ctx, b.user, b.login)
	if err != nil {
		return session.Issued{}, err
	}
	if b.last != nil {
		err = b.last(ctx)
	}
	if err == nil {
		err = a.supersede(ctx, &issued.Row, b.held, b.login.Origin)
	}
	if err != nil {
		a.abandon(ctx, issued.Row.ID, b.login.Origin)
		return session.Issued{}, err
	}
	a.Engine.Record(session.Event{Type: session.EventSignInOK, UserID: b.login.UserID, ClientID: b.login.ClientID,
		Session: a.Engine.Pseudonym(issued.Row.ID), Actor: b.actor, Origin: b.login.Origin})
	return issued, nil
}

// sameAttempt is how far apart two requests may be that one press of a button
// sent twice.
const sameAttempt = time.Minute

// remembered reports whether one of the user's sessions among these is, or was
// when the same attempt replaced it.
func (a *API) remembered(ctx context.Context, userID string, held carried) (bool, error) {
	for _, id := range slices.Concat(held.live, held.over) {
		row, now, err := a.Engine.Get(ctx, id)
		switch {
		case errors.Is(err, session.ErrRefused):
			continue
		case err != nil:
			return false, err
		}
		counts := slices.Contains(held.live, id) ||
			row.EndReason == session.ReasonSignIn && now.Sub(row.EndedAt) < sameAttempt
		if counts && row.UserID == userID && row.Remembered {
			return true, nil
		}
	}
	return false, nil
}

// supersede ends what makes way for a new session: those whose cookies came
// along, what the same attempt made before, and the oldest of too many (OWASP
// ASVS 5.0 §7.1.2). It reads all that can fail before it ends anything.
func (a *API) supersede(ctx context.Context, newest *session.Row, held carried, from session.Origin) error {
	rows, _, err := a.Engine.List(ctx, newest.UserID)
	if err != nil {
		return err
	}
	going := slices.Concat(held.live, a.replacements.swap(held, newest))
	rows = slices.DeleteFunc(rows, func(row session.Row) bool { return slices.Contains(going, row.ID) })
	if err := a.endSessions(ctx, going, session.ReasonSignIn, from); err != nil {
		return err
	}
	for _, id := range excess(rows, newest, a.MaxSessions) {
		ended, err := a.Engine.End(ctx, session.Selection{Session: id}, session.ReasonExcess, "", from)
		if err != nil {
			return err
		}
		for _, s := range ended {
			a.Engine.Record(session.Event{Type: session.EventExcess, UserID: s.UserID, Session: a.Engine.Pseudonym(s.Session), Origin: from})
		}
	}
	return nil
}

// excess returns the sessions beyond most that are older than mine. The newer
// ones are for the login that made them to count: of two at the same time, one
// must stay.
func excess(rows []session.Row, mine *session.Row, most int) (ids []session.ID) {
	age := func(a, b session.Row) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(b.ID[:], a.ID[:]))
	}
	slices.SortFunc(rows, age)
	for _, row := range rows[min(len(rows), most):] {
		if age(*mine, row) < 0 {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// replacements remembers, for as long as an attempt may be sent twice, which
// session came after another. The second time ends the first time's session,
// whose cookies the browser did not wait for: nobody would use it, but the list
// of devices would show it. Another node's are not known; there it stays until
// its user ends it or it expires.
type replacements struct {
	next *otter.Cache[session.ID, replacement]
}

type replacement struct {
	session session.ID
	userID  string
}

func newReplacements() (replacements, error) {
	next, err := otter.New(&otter.Options[session.ID, replacement]{
		MaximumSize: 1 << 12, ExpiryCalculator: otter.ExpiryWriting[session.ID, replacement](sameAttempt),
	})
	return replacements{next}, err
}

// swap notes the newest session as what comes after those held, and returns
// what came after them before. Cookies of a session that is over do not end
// another user's session.
func (p replacements) swap(held carried, newest *session.Row) (before []session.ID) {
	for _, id := range slices.Concat(held.live, held.over) {
		p.next.Compute(id, func(old replacement, found bool) (replacement, otter.ComputeOp) {
			if found && old.userID == newest.UserID && !slices.Contains(before, old.session) {
				before = append(before, old.session)
			}
			return replacement{newest.ID, newest.UserID}, otter.WriteOp
		})
	}
	return before
}

// issue starts the session and asks once more whether the user may have it. A
// user who is disabled, or whose password is changed, between Authenticate and
// Start has their sessions ended before this one is stored: either that end
// sees our session, or Recheck sees the change. The tokens were not sent yet.
func (a *API) issue(ctx context.Context, user *account.User, login session.Login) (session.Issued, error) {
	issued, err := a.Engine.Start(ctx, login)
	if err != nil || user == nil {
		return issued, err
	}
	if err := a.Accounts.Recheck(ctx, *user); err != nil {
		a.recordFailure("sign_in", err, attempt(&login))
		why := session.ReasonDisabled
		switch {
		case !errors.Is(err, account.ErrCredentials):
			why = session.ReasonAbandoned // nobody knows
		case account.Reason(err) == account.ReasonPasswordChanged:
			why = session.ReasonPassword
		}
		// The client may have gone; the session must not stay for that. If the
		// store fails too, nobody has a token of what stays.
		_, endErr := a.Engine.End(context.WithoutCancel(ctx), session.Selection{Session: issued.Row.ID}, why, "", login.Origin)
		if endErr != nil {
			return session.Issued{}, endErr
		}
		return session.Issued{}, err
	}
	return issued, nil
}

// abandon ends a session whose tokens will not be sent, whether or not the
// client is still there. If the store fails once more, nobody has a token of
// what stays.
func (a *API) abandon(ctx context.Context, id session.ID, from session.Origin) {
	a.Engine.End(context.WithoutCancel(ctx), session.Selection{Session: id}, session.ReasonAbandoned, "", from)
}
