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
// a second with every change.
type Memory struct {
	mu    sync.Mutex
	users map[string]account.User // by id; guarded by mu
	now   time.Time               // guarded by mu
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{users: map[string]account.User{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

var errIDTaken = errors.New("user id is taken")

// CreateUser is described at account.Store, like all other methods.
func (m *Memory) CreateUser(ctx context.Context, user account.User) error {
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
	user.PasswordChangedAt = user.CreatedAt
	m.users[user.ID] = user
	return nil
}

func (m *Memory) UserByName(ctx context.Context, name string) (account.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.User{}, err
	}
	return m.byName(name)
}

func (m *Memory) UserByID(ctx context.Context, id string) (account.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.User{}, err
	}
	return m.byID(id)
}

func (m *Memory) SetPassword(ctx context.Context, id string, hash account.Hash) error {
	return m.change(ctx, id, func(user *account.User) {
		user.Hash = hash
		user.PasswordChangedAt = m.tick()
	})
}

func (m *Memory) SetDisabled(ctx context.Context, id string, disabled bool) error {
	return m.change(ctx, id, func(user *account.User) { user.Disabled = disabled })
}

func (m *Memory) Users(ctx context.Context) ([]account.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(m.users), func(a, b account.User) int { return cmp.Compare(a.Name, b.Name) }), nil
}

func (m *Memory) change(ctx context.Context, id string, apply func(*account.User)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	user, err := m.byID(id)
	if err != nil {
		return err
	}
	apply(&user)
	m.users[id] = user
	return nil
}

// tick, byID and byName need mu.
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
