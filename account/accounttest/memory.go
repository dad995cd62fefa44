package accounttest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pawlauth/pawl/account"
)

var _ account.Store = (*Memory)(nil)

// Memory is an account.Store that forgets everything with the process. Its clock starts at a fixed moment and moves on by
// a second with every change of a user.
type Memory struct {
	mu      sync.Mutex
	users   map[string]account.User            // by id; guarded by mu
	tallies map[account.TallyKey]account.Tally // guarded by mu
	now     time.Time                          // guarded by mu
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{users: map[string]account.User{}, tallies: map[account.TallyKey]account.Tally{},
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Advance moves the clock on, or back.
func (m *Memory) Advance(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(by)
}

// Tallies returns how many tallies there are, ended ones included.
func (m *Memory) Tallies() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.tallies)
}

var errIDTaken = errors.New("user id is taken")

// CreateUser implements [account.Store].
func (m *Memory) CreateUser(ctx context.Context, user account.User, initial time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := m.byName(user.Name); err == nil {
		return account.ErrNameTaken
	}
	if _, taken := m.users[user.ID]; taken {
		return errIDTaken
	}
	user.CreatedAt = m.tick()
	user.PasswordChangedAt, user.LastSignIn, user.InitialUntil = user.CreatedAt, time.Time{}, m.until(initial)
	m.users[user.ID] = user
	return nil
}

// UserByName implements [account.Store].
func (m *Memory) UserByName(ctx context.Context, name string) (account.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.User{}, err
	}
	return m.byName(name)
}

// UserByID implements [account.Store].
func (m *Memory) UserByID(ctx context.Context, id string) (account.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.User{}, err
	}
	return m.byID(id)
}

// SetPassword implements [account.Store].
func (m *Memory) SetPassword(ctx context.Context, id string, hash account.Hash, initial time.Duration) error {
	return m.change(ctx, id, func(user *account.User) error {
		m.setPassword(user, hash, initial)
		return nil
	})
}

// SetDisabled implements [account.Store].
func (m *Memory) SetDisabled(ctx context.Context, id string, disabled bool) error {
	return m.change(ctx, id, func(user *account.User) error {
		user.Disabled = disabled
		return nil
	})
}

// SignedIn implements [account.Store].
func (m *Memory) SignedIn(ctx context.Context, user account.User, hash account.Hash) error {
	return m.change(ctx, user.ID, func(stored *account.User) error {
		if stale(*stored, user) {
			return account.ErrNotFound
		}
		stored.LastSignIn = m.tick()
		if hash != "" {
			stored.Hash = hash
		}
		return nil
	})
}

// ChangePassword implements [account.Store].
func (m *Memory) ChangePassword(ctx context.Context, user account.User, hash account.Hash) error {
	return m.change(ctx, user.ID, func(stored *account.User) error {
		if stale(*stored, user) {
			return account.ErrNotFound
		}
		m.setPassword(stored, hash, 0)
		return nil
	})
}

func stale(stored, user account.User) bool {
	return stored.Disabled || !stored.PasswordChangedAt.Equal(user.PasswordChangedAt)
}

// Tally implements [account.Store].
func (m *Memory) Tally(ctx context.Context, step account.Step) (account.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.Outcome{}, err
	}
	have := make([]account.Tally, len(step.Keys))
	for i, key := range step.Keys {
		have[i] = m.tallies[key]
	}
	outcome := step.Apply(m.now, have)
	for i, next := range outcome.Next {
		m.put(step.Keys[i], next)
	}
	return outcome, nil
}

// ForgetAttempts implements [account.Store].
func (m *Memory) ForgetAttempts(ctx context.Context, of account.Tag) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for key, tally := range m.tallies {
		if key.Account == of {
			m.put(key, account.Tally{Known: tally.Known})
		}
	}
	return nil
}

// ForgetNetworks implements [account.Store].
func (m *Memory) ForgetNetworks(ctx context.Context, of account.Tag, keep int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	known := slices.DeleteFunc(slices.Collect(maps.Keys(m.tallies)), func(key account.TallyKey) bool {
		return key.Account != of || m.tallies[key].Known.IsZero()
	})
	slices.SortFunc(known, func(a, b account.TallyKey) int { return m.tallies[b].Known.Compare(m.tallies[a].Known) })
	for _, key := range known[min(len(known), keep):] {
		tally := m.tallies[key]
		tally.Known = time.Time{}
		m.put(key, tally)
	}
	return nil
}

// SweepAttempts implements [account.Store].
func (m *Memory) SweepAttempts(ctx context.Context, keep, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ended := func(key account.TallyKey) bool { return !m.tallies[key].Ends().After(m.now) }
	byEnd := slices.SortedFunc(maps.Keys(m.tallies), func(a, b account.TallyKey) int {
		return m.tallies[a].Ends().Compare(m.tallies[b].Ends())
	})
	spare := slices.DeleteFunc(slices.Clone(byEnd), func(key account.TallyKey) bool { return ended(key) || !m.tallies[key].Known.IsZero() })
	surplus := spare[:max(0, len(spare)-keep)]
	swept := slices.Concat(slices.DeleteFunc(byEnd, func(key account.TallyKey) bool { return !ended(key) }), surplus)
	swept = swept[:min(len(swept), limit)]
	for _, key := range swept {
		delete(m.tallies, key)
	}
	return len(swept), nil
}

// DeleteUser implements [account.Store].
func (m *Memory) DeleteUser(ctx context.Context, id string, of account.Tag) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := m.byID(id); err != nil {
		return err
	}
	delete(m.users, id)
	maps.DeleteFunc(m.tallies, func(key account.TallyKey, _ account.Tally) bool { return key.Account == of })
	return nil
}

// Users implements [account.Store].
func (m *Memory) Users(ctx context.Context) ([]account.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(m.users), func(a, b account.User) int { return cmp.Compare(a.Name, b.Name) }), nil
}

func (m *Memory) change(ctx context.Context, id string, apply func(*account.User) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	user, err := m.byID(id)
	if err != nil {
		return err
	}
	if err := apply(&user); err != nil {
		return err
	}
	m.users[id] = user
	return nil
}

// setPassword, until, put, tick, byID and byName need mu.
func (m *Memory) setPassword(user *account.User, hash account.Hash, initial time.Duration) {
	now := m.tick()
	if last := user.PasswordChangedAt; !now.After(last) {
		now = last.Add(time.Millisecond)
	}
	user.Hash, user.PasswordChangedAt, user.InitialUntil = hash, now, m.until(initial)
}

func (m *Memory) until(initial time.Duration) time.Time {
	if initial == 0 {
		return time.Time{}
	}
	return m.now.Add(initial)
}

func (m *Memory) put(key account.TallyKey, tally account.Tally) {
	if tally.Ends().After(m.now) {
		m.tallies[key] = tally
	} else {
		delete(m.tallies, key)
	}
}

func (m *Memory) tick() time.Time {
	m.now = m.now.Add(time.Second)
	return m.now
}

func (m *Memory) byID(id string) (account.User, error) {
	user, ok := m.users[id]
	if !ok {
		return account.User{}, account.ErrNotFound
	}
	return user, nil
}

func (m *Memory) byName(name string) (account.User, error) {
	for _, user := range m.users {
		if user.Name == name {
			return user, nil
		}
	}
	return account.User{}, account.ErrNotFound
}
