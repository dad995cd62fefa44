package sqlstoretest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/token"
)

// A Maker makes the stores that [Run] tests.
type Maker struct {
	// Open returns a store on a database that is empty and of its own. It takes
	// its clock from now, which is safe for concurrent use. What closes the
	// store is registered with t.Cleanup; closing it a second time is no error.
	Open func(t *testing.T, now func() time.Time) sqlstore.Store
	// Again opens the database of a store that Open made once more, as another
	// process would. The first one may be closed by then.
	Again func(t *testing.T, first sqlstore.Store, now func() time.Time) sqlstore.Store
}

// Run proves the contract of [sqlstore.Store], but for what the suites
// storetest and accounttest prove and for durability.
func Run(t *testing.T, maker Maker) {
	t.Run("Keys", func(t *testing.T) {
		keyringtest.Run(t, func(t *testing.T) keyring.Store { return maker.Open(t, time.Now) })
	})
	for _, tier := range []struct {
		name  string
		tests []tierTest
	}{
		{"Events", eventTests},
		{"Erase", eraseTests},
		{"Processes", processTests},
		{"Upkeep", upkeepTests},
	} {
		t.Run(tier.name, func(t *testing.T) {
			for _, test := range tier.tests {
				t.Run(test.name, func(t *testing.T) {
					clock := storetest.NewClock()
					b := &bench{T: t, maker: maker, clock: clock, store: maker.Open(t, clock.Now)}
					b.other = maker.Again(t, b.store, clock.Now)
					test.run(b)
					if !test.unsound {
						b.sound(b.other)
					}
				})
			}
		})
	}
}

// A tierTest is one sentence of the contract.
type tierTest struct {
	name    string
	run     func(*bench)
	unsound bool // it stores what Fsck must find
}

// A bench is one database under test, opened twice, with its clock.
type bench struct {
	*testing.T
	maker Maker
	clock *storetest.Clock
	store sqlstore.Store
	other sqlstore.Store // on the same database
}

// must fails the test at once.
func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// sound fails the test if a check of the store finds a fault.
func (b *bench) sound(s sqlstore.Store) sqlstore.Report {
	b.Helper()
	report, err := s.Fsck(context.WithoutCancel(b.Context()))
	if err != nil {
		b.Fatalf("Fsck: %v", err)
	}
	if len(report.Faults) > 0 {
		b.Errorf("not sound: %v", report)
	}
	return report
}

// create stores a session as an engine makes it, edited.
func (b *bench) create(edit func(*session.Row)) session.Row {
	b.Helper()
	now := b.clock.Now()
	row := session.Row{
		ID: token.NewID(), Key: token.KeyID{1, 2, 3, 4}, UserID: "u_alice", ClientID: "web", Audience: "https://api.example",
		Scope: "openid", Generation: 1, RotatedAt: now, CreatedAt: now, AuthTime: now, Methods: []string{"pwd"},
		AbsoluteEnd: now.Add(90 * 24 * time.Hour), IdleLimit: 14 * 24 * time.Hour, Transport: session.Cookie,
		UserAgent: "agent", Address: "192.0.2.0/24", LastSeen: now.Truncate(time.Hour),
	}
	rand.Read(row.Salt[:])
	if edit != nil {
		edit(&row)
	}
	b.must(b.store.Create(b.Context(), row))
	return row
}

// load returns a session that must be there.
func (b *bench) load(id session.ID) session.Row {
	b.Helper()
	rows, _, err := b.other.Load(b.Context(), []session.ID{id})
	if err != nil || len(rows) != 1 {
		b.Fatalf("Load: %d rows, %v; want one", len(rows), err)
	}
	return rows[0]
}

// end ends sessions.
func (b *bench) end(which session.Selection) {
	b.Helper()
	_, err := b.store.End(b.Context(), which, session.ReasonDisabled)
	b.must(err)
}

// hash is of no password.
const hash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"

// user returns a user of that name.
func user(name string) account.User {
	return account.User{ID: "u_" + name, Name: name, Display: name, Hash: hash}
}

// key returns a signing key in a state.
func (b *bench) key(id string, state keyring.State) keyring.Change {
	now := b.clock.Now()
	return keyring.Change{To: keyring.Record{ID: id, Algorithm: keyring.EdDSA, Header: "header", Public: []byte{1},
		Sealed: []byte{9}, State: state, CreatedAt: now, ChangedAt: now}}
}

// until polls for what another goroutine brings about.
func (b *bench) until(what string, done func() bool) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain until %s", what)
		}
	}
}
