package bench

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// refusal is of what an attacker can send for nothing.
func (i *issuer) refusal() (Group, error) {
	genuine := i.issued[0].Refresh.Reveal()
	forged := flip(genuine, len(genuine)-8) // right in form and key id: it costs a MAC
	engine, err := i.recorded()
	if err != nil {
		return Group{}, err
	}
	v, err := i.verifier(cacheSize)
	if err != nil {
		return Group{}, err
	}
	_, rest, _ := strings.Cut(i.tokens[0], ".")
	none := string(token.AppendBase64URL(nil, []byte(`{"alg":"none","typ":"at+jwt"}`))) + "." + rest
	stranger := string(token.AppendBase64URL(nil, []byte(`{"alg":"EdDSA","typ":"at+jwt","kid":"AAAAAAAAAAAAAAAA"}`))) + "." + rest
	return Group{Name: Refused, Sides: []Side{
		{Name: "forged refresh token, engine", Prepare: always(i.renewRefused(engine, forged))},
		{Name: "forged refresh token, codec alone", Prepare: always(func() error {
			if _, err := engine.Codec.Open(forged); !errors.Is(err, token.ErrRefresh) {
				return errOutcome
			}
			return nil
		})},
		{Name: "junk for a refresh token, engine", Prepare: always(i.renewRefused(engine, genuine[8:]))},
		{Name: "access token, alg none", Prepare: always(refused(v, none))},
		{Name: "access token, foreign key id", Prepare: always(refused(v, stranger))},
	}}, nil
}

// flip changes one character.
func flip(text string, at int) string {
	other := byte('A')
	if text[at] == other {
		other = 'B'
	}
	return text[:at] + string(other) + text[at+1:]
}

// recorded returns an engine that records what it refuses as a server does:
// to a log and to a store, neither of which keeps anything here.
func (i *issuer) recorded() (*session.Engine, error) {
	recorder := session.NewRecorder(slog.New(slog.DiscardHandler), forgetful{}, time.Now)
	go recorder.Run(context.Background()) // as long as the process
	options := i.engine.Options
	options.Record = recorder.Record
	return session.New(options)
}

// forgetful is an event log that keeps nothing.
type forgetful struct{}

func (forgetful) Append(context.Context, []session.Event) error { return nil }

// renewRefused presents a refresh token that must be refused without a query.
func (i *issuer) renewRefused(engine *session.Engine, refresh string) func() error {
	ctx := context.Background()
	return func() error {
		before := i.store.loads
		_, err := engine.Refresh(ctx, session.Renewal{Refresh: refresh, Transport: session.Cookie})
		if !errors.Is(err, session.ErrRefused) || i.store.loads != before {
			return errOutcome
		}
		return nil
	}
}

func refused(v *verify.Verifier, raw string) func() error {
	return func() error {
		if _, err := v.Verify(raw, time.Now()); !errors.Is(err, verify.ErrUnknownKey) {
			return errOutcome
		}
		return nil
	}
}
