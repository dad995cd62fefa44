package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/argon2"
)

// ErrBusy matches the refusal of a hash because too many are under way. See [BusyError].
var ErrBusy = errors.New("too many passwords are being checked; try again later")

// BusyError says when to come back. It matches [ErrBusy] and, if the caller's context ended the wait, that context's cause.
type BusyError struct {
	// RetryAfter is how long to wait before trying again, at least a second. By then every caller that waits now has
	// been served or turned away.
	RetryAfter time.Duration
	cause      error
}

// Error returns the text of [ErrBusy].
func (e *BusyError) Error() string { return ErrBusy.Error() }

// Is reports whether target is [ErrBusy].
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// Unwrap returns why the caller's context ended the wait, or nil.
func (e *BusyError) Unwrap() error { return e.cause }

const (
	// waitersPerSlot bounds the queue. At 30 ms a hash, the last in the queue is served after about half a second.
	waitersPerSlot = 16
	maxSlots       = 1024
	maxSlotWait    = time.Minute
)

// Hasher makes and verifies password hashes, a bounded number at once. It is safe for concurrent use and starts no
// goroutine.
//
// Its memory is slots × Params.Memory at work, and up to as much again until the garbage collector takes it back.
type Hasher struct {
	params Params
	wait   time.Duration
	// inside holds one element for each caller, hashing or waiting; running one for each that hashes. A caller enters
	// inside without waiting or is turned away, then waits for running.
	inside, running chan struct{}
	// derive is Argon2id; tests count its calls.
	derive func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
}

// NewHasher returns a Hasher that makes hashes with these parameters, at most slots (1 to 1024) of them at once, for which
// a caller waits at most wait (more than nothing, at most a minute). At most 16 callers wait for each slot. Parameters
// below OWASP's floor are refused. All faults are reported together; those of the parameters match [ErrParams].
func NewHasher(params Params, slots int, wait time.Duration) (*Hasher, error) {
	faults := []error{params.checkNew()}
	if slots < 1 || slots > maxSlots {
		faults = append(faults, fmt.Errorf("%d password hashes at once: give 1 to %d", slots, maxSlots))
	}
	if wait <= 0 || wait > maxSlotWait {
		faults = append(faults, fmt.Errorf("a wait of %v for a password hash: give more than 0, at most %v", wait, maxSlotWait))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Hasher{
		params:  params,
		wait:    wait,
		inside:  make(chan struct{}, slots*(1+waitersPerSlot)),
		running: make(chan struct{}, slots),
		derive:  argon2.IDKey,
	}, nil
}

// Hash returns a new hash of password, with a salt of its own. An error matches [ErrPassword] or [ErrBusy].
func (h *Hasher) Hash(ctx context.Context, password Password) (Hash, error) {
	salt := make([]byte, newSaltBytes)
	rand.Read(salt) // never fails: it ends the process rather than return less
	tag, err := h.tag(ctx, password, h.params, salt, newTagBytes)
	if err != nil {
		return "", err
	}
	return phc{params: h.params, salt: salt, tag: tag}.hash(), nil
}

// Verify reports whether hash is a hash of password. It works with the parameters in hash, which may be others than the
// Hasher's own, also weaker ones. An error matches [ErrHash], [ErrPassword] or [ErrBusy] and comes with false.
func (h *Hasher) Verify(ctx context.Context, hash Hash, password Password) (bool, error) {
	want, err := hash.parse()
	if err != nil {
		return false, err
	}
	tag, err := h.tag(ctx, password, want.params, want.salt, len(want.tag))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(tag, want.tag) == 1, nil
}

// tag is the only way to Argon2id: within the size limit, within a slot.
func (h *Hasher) tag(ctx context.Context, password Password, params Params, salt []byte, length int) ([]byte, error) {
	if err := password.checkSize(); err != nil {
		return nil, err
	}
	if err := h.enter(ctx); err != nil {
		return nil, err
	}
	defer h.leave()
	return h.derive(password.bytes(), salt, params.Time, params.Memory, params.Parallelism, uint32(length)), nil
}

// enter waits for a slot. After nil the caller owes leave.
func (h *Hasher) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return h.busy(context.Cause(ctx))
	}
	select {
	case h.inside <- struct{}{}:
	default:
		return h.busy(nil)
	}
	select {
	case h.running <- struct{}{}:
		return nil // a free slot costs no timer
	default:
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	var cause error
	select {
	case h.running <- struct{}{}:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	<-h.inside
	return h.busy(cause)
}

func (h *Hasher) leave() {
	<-h.running
	<-h.inside
}

func (h *Hasher) busy(cause error) error {
	return &BusyError{RetryAfter: max(h.wait, time.Second), cause: cause}
}
