package servicetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/service"
)

// Run proves the contract of service.Store, except for durability, with stores
// that open makes. Each store must be empty and of its own; open registers what
// closes it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) service.Store) {
	for _, tier := range []struct {
		name string
		test func(*testing.T, service.Store)
	}{
		{"ServiceComesBackAsGiven", testService},
		{"ServiceNameIsUnique", testNameTaken},
		{"ServicesAreOrderedByName", testServices},
		{"RemovedServiceIsGone", testRemove},
		{"CodeComesBackAsGiven", testCode},
		{"CodeIsTakenOnce", testTake},
		{"ExpiredCodeIsNotFound", testExpired},
		{"DroppedCodesAreGone", testDrop},
		{"SweepTakesExpiredCodesOnly", testSweep},
		{"EndedContextIsNoAnswer", testEndedContext},
	} {
		t.Run(tier.name, func(t *testing.T) { tier.test(t, open(t)) })
	}
	t.Run("OneOfManyGetsIt", func(t *testing.T) {
		store := open(t)
		Contend(t, store, store)
	})
}

// racers is how many callers contend.
const racers = 16

// Contend proves that of many callers one gets what only one can get. The two
// stores are openings of the same data, or one store twice.
func Contend(t *testing.T, a, b service.Store) {
	opening := func(i int) service.Store { return []service.Store{a, b}[i%2] }
	for round := range 8 {
		record := sampleService(fmt.Sprintf("round-%d", round))
		added := race(t, service.ErrNameTaken, func(i int) error {
			_, err := opening(i).AddService(t.Context(), record)
			return err
		})
		if added != 1 {
			t.Errorf("%d of %d added the one service", added, racers)
		}
		code := sampleCode(round)
		put(t, a, code, time.Minute)
		taken := race(t, service.ErrNotFound, func(i int) error {
			_, err := opening(i).TakeCode(t.Context(), code.Hash)
			return err
		})
		if taken != 1 {
			t.Errorf("%d of %d took the one code", taken, racers)
		}
		put(t, a, code, time.Minute)
		taken = race(t, service.ErrNotFound, func(i int) error {
			if i%4 == 0 {
				if err := opening(i).DropCodes(t.Context(), code.UserID); err != nil {
					return err
				}
				return service.ErrNotFound
			}
			_, err := opening(i).TakeCode(t.Context(), code.Hash)
			return err
		})
		if taken > 1 {
			t.Errorf("%d of %d took a code that was being dropped", taken, racers)
		}
		requireNoCode(t, b, code.Hash)
	}
}

// race returns how many of the racers succeeded. The others must fail with
// lost.
func race(t *testing.T, lost error, try func(i int) error) (won int) {
	t.Helper()
	var group sync.WaitGroup
	start, results := make(chan struct{}), make([]error, racers)
	for i := range racers {
		group.Go(func() {
			<-start
			results[i] = try(i)
		})
	}
	close(start)
	group.Wait()
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, lost):
			t.Errorf("who lost got %v, want %v", err, lost)
		}
	}
	return won
}

func sampleService(name string) service.Record {
	return service.Record{
		Service: service.Service{Name: name, Scopes: []service.Scope{service.EventsRead, service.SessionsEnd}},
		Secret:  sha256.Sum256([]byte("secret of " + name)),
	}
}

// sampleCode returns a code whose fields differ from each other and from those
// of other samples, but for every third's user.
func sampleCode(n int) service.Code {
	return service.Code{
		Hash: sha256.Sum256(fmt.Appendf(nil, "code %d", n)), Binding: sha256.Sum256(fmt.Appendf(nil, "cookie %d", n)),
		Login: service.Login{
			UserID: fmt.Sprintf("u_sämple'%d", n%3), ClientID: fmt.Sprintf("client-%d", n), Audience: fmt.Sprintf("https://%d.example", n),
			Scope: fmt.Sprintf("read write:%d", n), Methods: []string{"pwd", fmt.Sprintf("otp%d", n)}, Remembered: n%2 == 0,
			Service: fmt.Sprintf("service-%d", n), PasswordChangedAt: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC).Add(time.Duration(n) * time.Second),
		},
	}
}

func add(t *testing.T, store service.Store, record service.Record) service.Service {
	t.Helper()
	added, err := store.AddService(t.Context(), record)
	if err != nil {
		t.Fatalf("AddService: %v", err)
	}
	return added
}

func put(t *testing.T, store service.Store, code service.Code, life time.Duration) {
	t.Helper()
	if err := store.PutCode(t.Context(), code, life); err != nil {
		t.Fatalf("PutCode: %v", err)
	}
}

func requireError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func requireNoCode(t *testing.T, store service.Store, hash service.Hash) {
	t.Helper()
	_, err := store.Code(t.Context(), hash)
	requireError(t, "Code", err, service.ErrNotFound)
	_, err = store.TakeCode(t.Context(), hash)
	requireError(t, "TakeCode", err, service.ErrNotFound)
}

func sameService(a, b service.Service) bool {
	return a.Name == b.Name && slices.Equal(a.Scopes, b.Scopes) && a.CreatedAt.Equal(b.CreatedAt)
}

func testService(t *testing.T, store service.Store) {
	record := sampleService("billing-2")
	record.CreatedAt = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) // ignored
	added := add(t, store, record)
	if added.CreatedAt.IsZero() || added.CreatedAt.Equal(record.CreatedAt) {
		t.Errorf("created at %v, not stamped by the store", added.CreatedAt)
	}
	record.CreatedAt = added.CreatedAt
	got, err := store.Service(t.Context(), record.Name)
	if err != nil {
		t.Fatalf("Service: %v", err)
	}
	if !sameService(added, record.Service) || !sameService(got.Service, record.Service) || got.Secret != record.Secret {
		t.Errorf("got %+v and %+v, want %+v", added, got, record)
	}
	for _, name := range []string{"", "-", "Billing-2", "billing-2 ", "billing"} {
		_, err := store.Service(t.Context(), name)
		requireError(t, "Service "+name, err, service.ErrNotFound)
	}
}

func testNameTaken(t *testing.T, store service.Store) {
	first := sampleService("gateway")
	add(t, store, first)
	second := sampleService("other")
	second.Name = first.Name
	_, err := store.AddService(t.Context(), second)
	requireError(t, "AddService", err, service.ErrNameTaken)
	got, err := store.Service(t.Context(), first.Name)
	if err != nil || got.Secret != first.Secret {
		t.Errorf("the first service's secret was replaced (%v)", err)
	}
}

func testServices(t *testing.T, store service.Store) {
	if all, err := store.Services(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("of an empty store: %v, %v", all, err)
	}
	for _, name := range []string{"b", "a-1", "c9", "a", "a1"} {
		add(t, store, sampleService(name))
	}
	all, err := store.Services(t.Context())
	if err != nil {
		t.Fatalf("Services: %v", err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		if len(s.Scopes) != 2 || s.CreatedAt.IsZero() {
			t.Errorf("listed as %+v", s)
		}
	}
	if want := []string{"a", "a-1", "a1", "b", "c9"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
}

func testRemove(t *testing.T, store service.Store) {
	requireError(t, "RemoveService", store.RemoveService(t.Context(), "gateway"), service.ErrNotFound)
	add(t, store, sampleService("gateway"))
	add(t, store, sampleService("gateways"))
	if err := store.RemoveService(t.Context(), "gateway"); err != nil {
		t.Fatalf("RemoveService: %v", err)
	}
	_, err := store.Service(t.Context(), "gateway")
	requireError(t, "Service", err, service.ErrNotFound)
	requireError(t, "RemoveService again", store.RemoveService(t.Context(), "gateway"), service.ErrNotFound)
	if _, err := store.Service(t.Context(), "gateways"); err != nil {
		t.Errorf("another service: %v", err)
	}
	add(t, store, sampleService("gateway"))
}

func testCode(t *testing.T, store service.Store) {
	full, bare := sampleCode(1), sampleCode(2)
	bare.Methods, bare.Scope, bare.PasswordChangedAt = nil, "", time.Time{}
	full.CreatedAt = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) // ignored
	for _, want := range []service.Code{full, bare} {
		put(t, store, want, time.Minute)
		if err := store.PutCode(t.Context(), want, time.Minute); err == nil {
			t.Error("one hash was put twice")
		}
		for name, read := range map[string]func(context.Context, service.Hash) (service.Code, error){"Code": store.Code, "Code again": store.Code} {
			got, err := read(t.Context(), want.Hash)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			requireCode(t, got, want)
		}
	}
	requireNoCode(t, store, sampleCode(3).Hash)
}

func requireCode(t *testing.T, got, want service.Code) {
	t.Helper()
	if got.CreatedAt.IsZero() || got.CreatedAt.Equal(want.CreatedAt) {
		t.Errorf("created at %v, not stamped by the store", got.CreatedAt)
	}
	same := got.Hash == want.Hash && got.Binding == want.Binding && got.UserID == want.UserID && got.ClientID == want.ClientID &&
		got.Audience == want.Audience && got.Scope == want.Scope && slices.Equal(got.Methods, want.Methods) &&
		got.Remembered == want.Remembered && got.Service == want.Service && got.PasswordChangedAt.Equal(want.PasswordChangedAt) &&
		got.PasswordChangedAt.IsZero() == want.PasswordChangedAt.IsZero()
	if !same {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func testTake(t *testing.T, store service.Store) {
	code := sampleCode(1)
	put(t, store, code, time.Minute)
	put(t, store, sampleCode(2), time.Minute)
	got, err := store.TakeCode(t.Context(), code.Hash)
	if err != nil {
		t.Fatalf("TakeCode: %v", err)
	}
	requireCode(t, got, code)
	requireNoCode(t, store, code.Hash)
	if _, err := store.Code(t.Context(), sampleCode(2).Hash); err != nil {
		t.Errorf("another code: %v", err)
	}
}

func testExpired(t *testing.T, store service.Store) {
	for i, life := range []time.Duration{0, -time.Minute} {
		code := sampleCode(i)
		put(t, store, code, life)
		requireNoCode(t, store, code.Hash)
	}
}

func testDrop(t *testing.T, store service.Store) {
	for i := range 6 {
		put(t, store, sampleCode(i), time.Minute)
	}
	if err := store.DropCodes(t.Context(), sampleCode(1).UserID); err != nil {
		t.Fatalf("DropCodes: %v", err)
	}
	for i := range 6 {
		if i%3 == 1 {
			requireNoCode(t, store, sampleCode(i).Hash)
		} else if _, err := store.Code(t.Context(), sampleCode(i).Hash); err != nil {
			t.Errorf("code %d of another user: %v", i, err)
		}
	}
	if err := store.DropCodes(t.Context(), "u_nobody"); err != nil {
		t.Errorf("without any: %v", err)
	}
}

func testSweep(t *testing.T, store service.Store) {
	for i := range 10 {
		put(t, store, sampleCode(i), time.Duration(i%2)*time.Minute)
	}
	for _, want := range []int{3, 2, 0} {
		if n, err := store.SweepCodes(t.Context(), 3); err != nil || n != want {
			t.Errorf("swept %d (%v), want %d", n, err, want)
		}
	}
	for i := range 10 {
		if _, err := store.Code(t.Context(), sampleCode(i).Hash); (err == nil) != (i%2 == 1) {
			t.Errorf("code %d after the sweep: %v", i, err)
		}
	}
}

func testEndedContext(t *testing.T, store service.Store) {
	record, code := sampleService("gateway"), sampleCode(1)
	add(t, store, record)
	put(t, store, code, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, addErr := store.AddService(ctx, sampleService("other"))
	_, readErr := store.Service(ctx, "nobody")
	_, listErr := store.Services(ctx)
	_, codeErr := store.Code(ctx, sampleCode(2).Hash)
	_, takeErr := store.TakeCode(ctx, sampleCode(2).Hash)
	_, sweepErr := store.SweepCodes(ctx, 1)
	for what, err := range map[string]error{
		"AddService": addErr, "Service": readErr, "Services": listErr, "RemoveService": store.RemoveService(ctx, "nobody"),
		"PutCode": store.PutCode(ctx, sampleCode(2), time.Minute), "Code": codeErr, "TakeCode": takeErr,
		"DropCodes": store.DropCodes(ctx, code.UserID), "SweepCodes": sweepErr,
	} {
		if err == nil || errors.Is(err, service.ErrNotFound) || errors.Is(err, service.ErrNameTaken) {
			t.Errorf("%s with an ended context: %v", what, err)
		}
	}
}
