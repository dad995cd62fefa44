package account

import "errors"

// ErrCredentials is the one answer to whoever does not prove to be an enabled user.
var ErrCredentials = errors.New("user name or password is wrong")

// What [Reason] returns with ErrCredentials. They are for the log and for events; an answer that told them apart would tell which users exist.
const (
	ReasonUnknownUser     = "unknown_user"
	ReasonMalformedName   = "malformed_name"
	ReasonWrongPassword   = "wrong_password"
	ReasonDisabled        = "disabled"
	ReasonPasswordSize    = "password_size"    // empty, or longer than MaxPasswordBytes
	ReasonPasswordChanged = "password_changed" // since it was verified
	ReasonUnusableHash    = "unusable_hash"    // the stored one; see ErrHash
	ReasonInitialExpired  = "initial_expired"  // an initial password that nobody replaced in time

	ReasonInitialPassword = "initial_password" // with ErrInitialPassword
	ReasonNotInitial      = "not_initial"      // with ErrNotInitial

	// With ErrThrottled: by whose failures.
	ReasonThrottledPair    = "throttled_pair"    // on this account from this network
	ReasonThrottledAccount = "throttled_account" // on this account from networks that it does not know
	ReasonThrottledNetwork = "throttled_network" // of this network on any account

	// With ErrThrottled after the right password: by logins to this account that succeeded.
	ReasonThrottledLogins = "throttled_logins"
)

// Reason returns why err, which matches [ErrCredentials], [ErrThrottled], [ErrInitialPassword] or [ErrNotInitial], was returned, or
// "" for any other error.
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrInitialPassword):
		return ReasonInitialPassword
	case errors.Is(err, ErrNotInitial):
		return ReasonNotInitial
	}
	if t, ok := errors.AsType[*ThrottledError](err); ok {
		return t.reason
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	return ""
}

// refusal is ErrCredentials with a reason. It shows the reason neither in its text nor by unwrapping to another error, on
// purpose: a caller that matched ErrNotFound first would answer differently.
type refusal struct{ reason string }

func (*refusal) Error() string { return ErrCredentials.Error() }

func (*refusal) Is(target error) bool { return target == ErrCredentials }

func refuse(reason string) error { return &refusal{reason: reason} }
