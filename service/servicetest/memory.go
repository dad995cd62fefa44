package servicetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pawlauth/pawl/service"
)

var _ service.Store = (*Memory)(nil)

// Memory is a service.Store that forgets everything with the process. Its clock
// starts at a fixed moment and stands still but for [Memory.Advance].
type Memory struct {
	mu       sync.Mutex
	services map[string]service.Record // by name; guarded by mu
	codes    map[service.Hash]dated    // guarded by mu
	now      time.Time                 // guarded by mu
	fails    error                     // guarded by mu
}

type dated struct {
	service.Code
	expires time.Time
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{services: map[string]service.Record{}, codes: map[service.Hash]dated{},
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Advance moves the clock on.
func (m *Memory) Advance(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(by)
}

// Fail makes every call fail with err, until it is nil again.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = err
}

// begin locks the store for a call, and says why the call cannot be served.
func (m *Memory) begin(ctx context.Context) (unlock func(), err error) {
	m.mu.Lock()
	return m.mu.Unlock, errors.Join(m.fails, ctx.Err())
}

// AddService implements [service.Store].
func (m *Memory) AddService(ctx context.Context, record service.Record) (service.Service, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return service.Service{}, err
	}
	if _, taken := m.services[record.Name]; taken {
		return service.Service{}, service.ErrNameTaken
	}
	record.CreatedAt, record.Scopes = m.now, slices.Clone(record.Scopes)
	m.services[record.Name] = record
	return record.Service, nil
}

// Service implements [service.Store].
func (m *Memory) Service(ctx context.Context, name string) (service.Record, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return service.Record{}, err
	}
	record, ok := m.services[name]
	if !ok {
		return service.Record{}, service.ErrNotFound
	}
	return record, nil
}

// Services implements [service.Store].
func (m *Memory) Services(ctx context.Context) ([]service.Service, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return nil, err
	}
	var all []service.Service
	for _, name := range slices.Sorted(maps.Keys(m.services)) {
		all = append(all, m.services[name].Service)
	}
	return all, nil
}

// RemoveService implements [service.Store].
func (m *Memory) RemoveService(ctx context.Context, name string) error {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return err
	}
	if _, ok := m.services[name]; !ok {
		return service.ErrNotFound
	}
	delete(m.services, name)
	return nil
}

var errCodeTaken = errors.New("code is there already")

// PutCode implements [service.Store].
func (m *Memory) PutCode(ctx context.Context, code service.Code, life time.Duration) error {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return err
	}
	if _, taken := m.codes[code.Hash]; taken {
		return errCodeTaken
	}
	code.CreatedAt, code.Methods = m.now, slices.Clone(code.Methods)
	m.codes[code.Hash] = dated{code, m.now.Add(life)}
	return nil
}

// Code implements [service.Store].
func (m *Memory) Code(ctx context.Context, hash service.Hash) (service.Code, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return service.Code{}, err
	}
	return m.code(hash)
}

// code needs mu.
func (m *Memory) code(hash service.Hash) (service.Code, error) {
	code, ok := m.codes[hash]
	if !ok || !code.expires.After(m.now) {
		return service.Code{}, service.ErrNotFound
	}
	return code.Code, nil
}

// TakeCode implements [service.Store].
func (m *Memory) TakeCode(ctx context.Context, hash service.Hash) (service.Code, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return service.Code{}, err
	}
	code, err := m.code(hash)
	delete(m.codes, hash)
	return code, err
}

// DropCodes implements [service.Store].
func (m *Memory) DropCodes(ctx context.Context, userID string) error {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return err
	}
	maps.DeleteFunc(m.codes, func(_ service.Hash, code dated) bool { return code.UserID == userID })
	return nil
}

// SweepCodes implements [service.Store].
func (m *Memory) SweepCodes(ctx context.Context, limit int) (int, error) {
	unlock, err := m.begin(ctx)
	defer unlock()
	if err != nil {
		return 0, err
	}
	swept := 0
	for hash, code := range m.codes {
		if swept < limit && !code.expires.After(m.now) {
			delete(m.codes, hash)
			swept++
		}
	}
	return swept, nil
}
