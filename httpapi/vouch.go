package httpapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// A Vouch is a user whom a service has authenticated. The user need not be one
// of Accounts; one that is disabled there is refused, and so is one that Accounts
// would have made, but do not know.
type Vouch struct {
	Service  string // its name
	UserID   string
	Methods  []string // what the user did to log in (RFC 8176)
	ClientID string   // of a client that may hold tokens; empty: the only one there is
	Scope    string   // empty: all that the client may have
	Remember bool     // cookies outlive the browser
	Origin   session.Origin
	// Thumbprint is of the client's key that the tokens are bound to (RFC 9449);
	// empty: to none.
	Thumbprint string
}

// vouched returns the user, or nil if it is none of Accounts'.
func (a *API) vouched(ctx context.Context, v Vouch) (*account.User, error) {
	if v.UserID == "" {
		return nil, errNoUser
	}
	user, err := a.Accounts.ByID(ctx, v.UserID)
	switch {
	case errors.Is(err, account.ErrNotFound) && !strings.HasPrefix(v.UserID, account.IDPrefix):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := a.Accounts.Recheck(ctx, user); err != nil {
		return nil, err
	}
	return &user, nil
}

// GiveTokens starts a bearer session for a user whom a service has
// authenticated, and returns the tokens for the user's client. The error, if
// any, is for [Describe] or [ProblemOf].
func (a *API) GiveTokens(ctx context.Context, v Vouch) (Tokens, error) {
	client, err := a.signInClient(session.Bearer, v.ClientID)
	if err != nil {
		return Tokens{}, err
	}
	var binding session.Binding
	switch {
	case v.Thumbprint != "":
		binding = session.Binding{Kind: session.DPoP, Thumbprint: v.Thumbprint}
	case client.RequireDPoP:
		return Tokens{}, session.ErrBindingRequired
	}
	scope, err := client.grant(v.Scope)
	if err != nil {
		return Tokens{}, err
	}
	user, err := a.vouched(ctx, v)
	if err != nil {
		return Tokens{}, err
	}
	issued, err := a.beginFrom(ctx, beginning{user: user, actor: v.Service, login: session.Login{
		UserID: v.UserID, ClientID: client.ID, Audience: a.Audience, Scope: scope, Methods: slices.Clone(v.Methods),
		Transport: session.Bearer, Binding: binding, Origin: v.Origin,
	}})
	if err != nil {
		return Tokens{}, err
	}
	return issuedTokens(&issued, scope), nil
}

// GiveCode returns a code for a user whom a service has authenticated: the
// browser with the cookie of that binding redeems it, once, within
// [service.CodeLife], for a cookie session. The error, if any, is for
// [Describe] or [ProblemOf].
func (a *API) GiveCode(ctx context.Context, v Vouch, binding service.Hash) (token.Secret, error) {
	client, err := a.signInClient(session.Cookie, v.ClientID)
	if err != nil {
		return "", err
	}
	scope, err := client.grant(v.Scope)
	if err != nil {
		return "", err
	}
	user, err := a.vouched(ctx, v)
	if err != nil {
		return "", err
	}
	var passwordChanged time.Time
	if user != nil {
		passwordChanged = user.PasswordChangedAt
	}
	code, err := a.Services.Offer(ctx, binding, service.Login{
		UserID: v.UserID, ClientID: client.ID, Audience: a.Audience, Scope: scope, Methods: slices.Clone(v.Methods),
		Remembered: v.Remember, Service: v.Service, PasswordChangedAt: passwordChanged,
	})
	if err != nil {
		return "", err
	}
	a.Engine.Record(session.Event{Type: session.EventCodeIssued, UserID: v.UserID, ClientID: client.ID, Actor: v.Service, Origin: v.Origin})
	return code, nil
}
