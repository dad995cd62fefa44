package sqlstoretest

import (
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

var upkeepTests = []tierTest{
	{name: "FsckCountsAndFindsNothing", run: fsckCounts},
	{name: "FsckFindsWhatIsUnsound", run: fsckFinds, unsound: true},
}

// populate stores something of everything.
func (b *bench) populate() {
	b.Helper()
	for range 3 {
		b.create(nil)
	}
	b.end(session.Selection{Session: b.create(nil).ID})
	b.must(b.store.ChangeKeys(b.Context(), []keyring.Change{b.key("a", keyring.Active)}))
	b.must(b.store.ChangeKeys(b.Context(), []keyring.Change{b.key("b", keyring.Next)}))
	b.must(b.store.CreateUser(b.Context(), user("alice"), 0))
	b.must(b.store.CreateUser(b.Context(), user("bob"), 0))
	b.must(b.store.Append(b.Context(), []session.Event{{Type: session.EventStarted}, {Type: session.EventEnded}}))
}

func fsckCounts(b *bench) {
	counts := func(want sqlstore.Report) {
		b.Helper()
		if diff := cmp.Diff(want, b.sound(b.other), cmpopts.EquateEmpty()); diff != "" {
			b.Errorf("counted (-want +got):\n%s", diff)
		}
	}
	counts(sqlstore.Report{})
	b.populate()
	counts(sqlstore.Report{Sessions: 4, Ended: 1, Keys: 2, Users: 2, Events: 2})
	_, err := b.store.EndEveryone(b.Context(), time.Time{}, session.ReasonFenced)
	b.must(err)
	b.clock.Advance(time.Minute)
	b.create(nil)
	counts(sqlstore.Report{Sessions: 5, Ended: 4, Keys: 2, Users: 2, Events: 2})
	b.clock.Advance(2 * time.Hour)
	_, err = b.store.Sweep(b.Context(), 100, time.Hour)
	b.must(err)
	counts(sqlstore.Report{Sessions: 5, Ended: 4, Keys: 2, Users: 2, Events: 2})
}

// What no part of Pawl stores is found, and is no secret.
func fsckFinds(b *bench) {
	b.populate()
	found := 0
	for _, spoil := range []struct {
		name string
		make func()
	}{
		{"a session of generation 2 whose first was never used", func() { b.create(func(r *session.Row) { r.Generation = 2 }) }},
		{"a session that turned in the future", func() { b.create(func(r *session.Row) { r.RotatedAt = r.RotatedAt.Add(30 * 24 * time.Hour) }) }},
		{"a key that signs and has no private half", func() {
			gone := b.key("b", keyring.Next)
			gone.From, gone.To.Sealed = keyring.Next, nil
			b.must(b.store.ChangeKeys(b.Context(), []keyring.Change{gone}))
		}},
		{"a key whose private half is not erased", func() {
			b.must(b.store.ChangeKeys(b.Context(), []keyring.Change{b.key("c", keyring.Withdrawn)}))
		}},
		{"a user whose name is not in its normal form", func() { b.must(b.store.CreateUser(b.Context(), user("CAROL"), 0)) }},
		{"a user whose hash is none", func() {
			dave := user("dave")
			dave.Hash = account.Hash("secret")
			b.must(b.store.CreateUser(b.Context(), dave, 0))
		}},
	} {
		spoil.make()
		report, err := b.other.Fsck(b.Context())
		b.must(err)
		if len(report.Faults) <= found {
			b.Errorf("not found: %s", spoil.name)
		}
		found = len(report.Faults)
		if text := report.String(); strings.Contains(text, "secret") || slices.Contains(report.Faults, nil) {
			b.Errorf("the report tells a secret, or of nothing: %s", text)
		}
	}
}
