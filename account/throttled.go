package account

import (
	"errors"
	"time"
)

// ErrThrottled matches the refusal of an attempt because of earlier ones. See [ThrottledError].
var ErrThrottled = errors.New("too many attempts; try again later")

// ThrottledError says when to come back. It matches [ErrThrottled] and says nothing about whether the user exists.
type ThrottledError struct {
	// RetryAfter is how long to wait before trying again, more than nothing, at most a day. Others may come first.
	RetryAfter time.Duration
	reason     string
}

// Error returns the text of [ErrThrottled].
func (*ThrottledError) Error() string { return ErrThrottled.Error() }

// Is reports whether target is [ErrThrottled].
func (*ThrottledError) Is(target error) bool { return target == ErrThrottled }
