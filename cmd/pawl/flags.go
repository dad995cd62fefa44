package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/server"
	"github.com/pawlauth/pawl/session"
)

// dataFlags are shared by every command that opens the data.
type dataFlags struct {
	Data                  string `default:"./pawl-data" placeholder:"DIR" env:"PAWL_DATA" help:"Directory that holds everything."`
	MasterKeyFile         string `placeholder:"FILE" env:"PAWL_MASTER_KEY_FILE" help:"Master key, if it does not live in the data directory."`
	Store                 string `placeholder:"URL" env:"PAWL_STORE" help:"PostgreSQL that many nodes share, postgres://user@host/name, its password in PGPASSFILE; without, a file in the data directory."`
	StoreSharded          bool   `env:"PAWL_STORE_SHARDED" help:"The store spreads rows over machines and takes locks in one statement only within one, as Citus does."`
	DangerouslyPlainStore bool   `env:"PAWL_DANGEROUSLY_PLAIN_STORE" help:"Allow a way to the store beyond this machine that is not encrypted and proved."`
}

// place is where the data is.
func (f dataFlags) place() pawl.Place {
	return pawl.Place{Directory: f.Data, MasterKeyFile: f.MasterKeyFile, Store: f.Store, StoreSharded: f.StoreSharded, DangerouslyPlainStore: f.DangerouslyPlainStore}
}

// operator opens existing data.
func (f dataFlags) operator(ctx context.Context) (*server.Operator, error) {
	return server.OpenOperator(ctx, f.place(), false)
}

// policyFlags say how long things live.
type policyFlags struct {
	Policy       string         `default:"default" placeholder:"NAME" env:"PAWL_POLICY" help:"Preset: default, aal1, aal2, or aal3, which requires sessions bound to a device."`
	AccessTTL    *time.Duration `name:"access-ttl" placeholder:"D" env:"PAWL_ACCESS_TTL" help:"Life of an access token, at most 15m (5m)."`
	TurnInterval *time.Duration `placeholder:"D" env:"PAWL_TURN_INTERVAL" help:"A session turns at most once in it (75s)."`
	Settle       *time.Duration `placeholder:"D" env:"PAWL_SETTLE" help:"Age from which a token's use confirms it (75s)."`
	RaceWindow   *time.Duration `placeholder:"D" env:"PAWL_RACE_WINDOW" help:"How long an old token is still answered after that (10s)."`
	Strict       bool           `env:"PAWL_STRICT" help:"Turn interval, settle and race window of 0: gives up crash safety."`
}

// policy returns what the flags ask for. Whether it is sound is for the
// server to say, together with everything else.
func (f policyFlags) policy() (session.Policy, error) {
	p, err := session.Preset(f.Policy)
	if err != nil {
		// Go on with something sound, so that only this fault is told of it.
		p, _ = session.Preset("default")
	}
	for _, set := range []struct{ from, to *time.Duration }{
		{f.AccessTTL, &p.AccessTTL}, {f.TurnInterval, &p.TurnInterval}, {f.Settle, &p.Settle}, {f.RaceWindow, &p.RaceWindow},
	} {
		if set.from != nil {
			*set.to = *set.from
		}
	}
	if f.Strict {
		if f.TurnInterval != nil || f.Settle != nil || f.RaceWindow != nil {
			err = errors.Join(err, errors.New("--strict sets turn interval, settle and race window to 0; leave those out"))
		}
		p = p.MakeStrict()
	}
	return p, err
}

// keyFlags say how signing keys live.
type keyFlags struct {
	Algorithm                string        `default:"EdDSA" placeholder:"ALG" env:"PAWL_ALGORITHM" help:"What signs access tokens: EdDSA or ES256."`
	DangerouslySignWithRS256 bool          `name:"dangerously-sign-with-rs256" env:"PAWL_DANGEROUSLY_SIGN_WITH_RS256" help:"Allow --algorithm RS256, whose padding current guidance disallows."`
	KeyRotation              time.Duration `default:"720h" placeholder:"D" env:"PAWL_KEY_ROTATION" help:"How long a signing key signs."`
	KeyPublication           time.Duration `default:"1h" placeholder:"D" env:"PAWL_KEY_PUBLICATION" help:"How long a key is published before it signs."`
}

func (f keyFlags) options() keyring.Options {
	return keyring.Options{
		Algorithm: keyring.Algorithm(f.Algorithm), DangerouslySignWithRS256: f.DangerouslySignWithRS256,
		Rotation: f.KeyRotation, Publication: f.KeyPublication,
	}
}

// yesFlag guards what destroys.
type yesFlag struct {
	Yes bool `help:"Do it; without, only tell what would be done."`
}

// agreed tells what would be done unless --yes was given.
func (f yesFlag) agreed(s *streams, format string, args ...any) bool {
	if !f.Yes {
		fmt.Fprintf(s.out, "Would "+format+". Repeat with --yes to do it.\n", args...)
	}
	return f.Yes
}

// maxPasswordInput is more than any password may have, in bytes.
const maxPasswordInput = 4096

// passwordFlag says where a password comes from: never from a flag, which other
// users of the machine could see.
type passwordFlag struct {
	PasswordStdin bool `help:"Read a password from standard input that the user has chosen; without, an initial one is made."`
}

// read reports whether a password is given, and takes it from standard input.
func (f passwordFlag) read(s *streams) (account.Password, bool, error) {
	if !f.PasswordStdin {
		return account.Password{}, false, nil
	}
	password, err := readPassword(s)
	return password, true, err
}

// readPassword takes a password from standard input. One line end at its end
// is not part of it.
func readPassword(s *streams) (account.Password, error) {
	text, err := io.ReadAll(io.LimitReader(s.in, maxPasswordInput))
	if err != nil {
		return account.Password{}, fmt.Errorf("read password: %w", err)
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
		if n > 1 && text[n-2] == '\r' {
			text = text[:n-2]
		}
	}
	if bytes.ContainsAny(text, "\r\n") || !utf8.Valid(text) {
		return account.Password{}, errors.New("the password must be one line of UTF-8 text; no sign-in could send another")
	}
	return account.NewPassword(string(text)), nil
}
