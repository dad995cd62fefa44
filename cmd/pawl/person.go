package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/server"
	"github.com/pawlauth/pawl/serviceapi"
	"github.com/pawlauth/pawl/session"
)

// personCmds are the commands about all that is kept of somebody.
type personCmds struct {
	Export userExportCmd `cmd:"" help:"Write all that is kept about a user, as JSON."`
	Delete userDeleteCmd `cmd:"" help:"Delete a user, and make what must stay anonymous."`
}

// personFlags name somebody. A user whom a program signs in by itself has no
// account, only an id.
type personFlags struct {
	Name string `arg:"" optional:"" help:"Name of the user."`
	ID   string `name:"id" placeholder:"ID" help:"Id of the user instead, also of one who has no account."`
}

var errWho = errors.New("name one user, or one id with --id")

// who returns the id, and what to call the user.
func (f personFlags) who(ctx context.Context, o *server.Operator) (id, called string, err error) {
	if (f.Name == "") == (f.ID == "") {
		return "", "", errWho
	}
	if f.ID != "" {
		return f.ID, quote(f.ID), nil
	}
	user, err := o.User(ctx, f.Name)
	return user.ID, fmt.Sprintf("%s (%s)", user.Name, user.ID), err
}

type userExportCmd struct {
	dataFlags
	personFlags
}

// Help is shown below the flags.
func (userExportCmd) Help() string {
	return `Example:

  pawl user export ada > ada.json

The document has no secret in it: no password hash, no token, no salt. Its members are described in
docs/operating.md.`
}

func (c *userExportCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	id, _, err := c.who(ctx, o)
	if err != nil {
		return err
	}
	person, err := o.Person(ctx, id)
	if err != nil {
		return err
	}
	// At once: what is on standard output is the whole document or nothing.
	text, err := json.Marshal(newPersonJSON(&person, o.Pseudonym), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = s.out.Write(append(text, '\n'))
	return err
}

type userDeleteCmd struct {
	dataFlags
	yesFlag
	personFlags
}

// Help is shown below the flags.
func (userDeleteCmd) Help() string {
	return `Examples:

  pawl user delete ada --yes
  pawl user delete --id u_4KQ2MVJ6YH7TB3ZPX5RWC2LDNE --yes

The user's tokens are refused within a second, also by servers that run. A deletion that was cut off
is finished by the same command. With --id it also erases what is left under the id of a user whose
account is gone.`
}

func (c *userDeleteCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	id, called, err := c.who(ctx, o)
	if err != nil {
		return err
	}
	if _, err := o.Person(ctx, id); err != nil {
		return err
	}
	if !c.agreed(s, "delete %s for ever: end all sessions, remove the account, make events anonymous", called) {
		return nil
	}
	d, err := o.Delete(ctx, id)
	if err != nil {
		return fmt.Errorf("delete %s: %w; repeat it to finish", called, err)
	}
	fmt.Fprintf(s.out, "deleted %s: %d account, ended %d sessions, erased %d and removed %d, made %d events anonymous\n",
		called, d.Accounts, d.Ended, d.Erased, d.Removed, d.Events)
	return nil
}

// personJSON is the document that is exported. A change that is more than a new
// member gets a new version.
type personJSON struct {
	Version  int                        `json:"version"`
	At       time.Time                  `json:"exported_at"`
	User     string                     `json:"user"`
	Account  *accountJSON               `json:"account"`
	Sessions []sessionJSON              `json:"sessions"`
	Events   []serviceapi.EventDocument `json:"events"`
}

type accountJSON struct {
	Name          string    `json:"name"`
	TypedAs       string    `json:"typed_as"`
	Disabled      bool      `json:"disabled"`
	CreatedAt     time.Time `json:"created_at"`
	PasswordSetAt time.Time `json:"password_set_at"`
	InitialUntil  time.Time `json:"initial_until,omitzero"`
	LastSignInAt  time.Time `json:"last_sign_in_at,omitzero"`
}

type sessionJSON struct {
	ID         string    `json:"id"`
	InEvents   string    `json:"in_events"`
	Client     string    `json:"client"`
	Audience   string    `json:"audience"`
	Scope      string    `json:"scope"`
	Transport  string    `json:"transport"`
	Remembered bool      `json:"remembered"`
	Methods    []string  `json:"methods"`
	Binding    string    `json:"binding,omitzero"`
	Thumbprint string    `json:"thumbprint,omitzero"`
	Agent      string    `json:"user_agent"`
	Address    string    `json:"address"`
	SignedInAt time.Time `json:"signed_in_at"`
	CreatedAt  time.Time `json:"created_at"`
	Generation uint32    `json:"generation"`
	RenewedAt  time.Time `json:"renewed_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	IdleEnd    time.Time `json:"idle_expires_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
	EndReason  string    `json:"end_reason,omitzero"`
}

// newPersonJSON takes over what is for the person, and none of the secrets.
func newPersonJSON(p *server.Person, pseudonym func(session.ID) string) personJSON {
	out := personJSON{Version: 1, At: p.At.UTC(), User: p.ID, Account: newAccountJSON(p.Account)}
	for i := range p.Sessions {
		out.Sessions = append(out.Sessions, newSessionJSON(&p.Sessions[i], pseudonym))
	}
	for i := range p.Events {
		out.Events = append(out.Events, serviceapi.NewEventDocument(p.Events[i].Cursor, &p.Events[i].Event))
	}
	return out
}

func newAccountJSON(u *account.User) *accountJSON {
	if u == nil {
		return nil
	}
	return &accountJSON{Name: u.Name, TypedAs: u.Display, Disabled: u.Disabled, CreatedAt: u.CreatedAt.UTC(), PasswordSetAt: u.PasswordChangedAt.UTC(),
		InitialUntil: u.InitialUntil.UTC(), LastSignInAt: u.LastSignIn.UTC()}
}

func newSessionJSON(r *session.Row, pseudonym func(session.ID) string) sessionJSON {
	return sessionJSON{ID: r.ID.String(), InEvents: pseudonym(r.ID), Client: r.ClientID, Audience: r.Audience, Scope: r.Scope,
		Transport: string(r.Transport), Remembered: r.Remembered, Methods: r.Methods, Binding: string(r.Binding.Kind), Thumbprint: r.Binding.Thumbprint,
		Agent: r.UserAgent, Address: r.Address, SignedInAt: r.AuthTime.UTC(), CreatedAt: r.CreatedAt.UTC(), Generation: r.Generation,
		RenewedAt: r.RotatedAt.UTC(), LastSeenAt: r.LastSeen.UTC(), IdleEnd: r.IdleEnd().UTC(), ExpiresAt: r.AbsoluteEnd.UTC(),
		EndedAt: r.EndedAt.UTC(), EndReason: string(r.EndReason)}
}
