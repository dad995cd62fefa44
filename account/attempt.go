package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"
)

// storeTime bounds what is stored after the caller may have gone.
const storeTime = 5 * time.Second

// What is hashed to a tag begins with one of these, so that a name is no network.
const (
	tagAccount = "account"
	tagNetwork = "network"
	tagSignUp  = "sign-up"
)

// tag hides what attempts are counted under: people type their password into the field for the name, and addresses are personal.
func (a *Accounts) tag(kind, value string) (t Tag) {
	mac := hmac.New(sha256.New, a.key())
	mac.Write([]byte(kind + "\x00" + value))
	copy(t[:], mac.Sum(nil))
	return t
}

// attempt returns what a login to the account of that name is counted under. A malformed name is one like any other.
func (a *Accounts) attempt(name string, from netip.Addr) Attempt {
	if normal, err := NormalizeName(name); err == nil {
		name = normal
	}
	at := a.places(tagNetwork, from)
	at.Account = a.tag(tagAccount, name)
	return at
}

// places returns the network and the site of an address: 32 bits of IPv4, which has no site; 64 and 48 of IPv6. All addresses that
// are not valid are one network.
func (a *Accounts) places(kind string, from netip.Addr) Attempt {
	from = from.Unmap().WithZone("")
	if !from.Is6() {
		return Attempt{Network: a.tag(kind, from.String())}
	}
	network, _ := from.Prefix(64)
	site, _ := from.Prefix(48)
	return Attempt{Network: a.tag(kind, network.String()), Site: a.tag(kind, site.String())}
}

// begin counts an attempt that is let in. Other errors match [ErrThrottled] or [ErrUnavailable]: what cannot be counted is not
// let in.
func (a *Accounts) begin(ctx context.Context, step Step) (Outcome, error) {
	o, err := a.store.Tally(ctx, step)
	switch {
	case err != nil:
		return o, storeError(err)
	case o.Next == nil:
		return o, o.throttled()
	}
	return o, nil
}

// try counts a login, has it judged, and settles the count by how it ended. What judge returns nil for succeeded; that may still be
// one login too many.
func (a *Accounts) try(ctx context.Context, at Attempt, judge func(Outcome) error) error {
	taken, err := a.begin(ctx, at.Take())
	if taken.crowded {
		// Work for whoever is held up must not take the machine: there is one at a time, and nobody waits for his turn.
		select {
		case a.aside <- struct{}{}:
			defer func() { <-a.aside }()
			taken, err = a.begin(ctx, at.aside())
		default:
		}
	}
	if err != nil {
		return err
	}
	return a.finish(ctx, at, taken, judge(taken))
}

// finish settles what begin counted, by how the attempt ended, and returns the answer. What cannot be settled stays counted, which the
// next login forgives: it is no reason to turn away who proved the password.
func (a *Accounts) finish(ctx context.Context, at Attempt, taken Outcome, err error) error {
	step := taken.Succeed()
	switch {
	case errors.Is(err, ErrCredentials) && taken.crowded:
		return taken.throttled()
	case errors.Is(err, ErrCredentials):
		return err // a failure, or none of the client's business
	case err != nil:
		step = taken.GiveBack() // no password was judged
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	settled, failed := a.store.Tally(ctx, step)
	switch {
	case err != nil || failed != nil:
		return err
	case !settled.LetIn():
		return settled.throttled()
	case !taken.known:
		_ = a.store.ForgetNetworks(ctx, at.Account, knownNetworks) // or after the next login from a new one
	}
	return nil
}

// Unlock forgives all failures on the account of that name. If from is valid, it also makes that network known to the account, which is
// how an operator lets in somebody whom an attack on the account keeps out; see [Accounts.Authenticate]. An error matches
// [ErrName] or [ErrUnavailable].
func (a *Accounts) Unlock(ctx context.Context, name string, from netip.Addr) error {
	if _, err := NormalizeName(name); err != nil {
		return err
	}
	at := a.attempt(name, from)
	if err := a.store.ForgetAttempts(ctx, at.Account); err != nil || !from.IsValid() {
		return storeError(err)
	}
	return a.introduce(ctx, at)
}

// introduce makes the network known to the account.
func (a *Accounts) introduce(ctx context.Context, at Attempt) error {
	if _, err := a.store.Tally(ctx, at.introduce()); err != nil {
		return storeError(err)
	}
	return storeError(a.store.ForgetNetworks(ctx, at.Account, knownNetworks))
}

// A Hold is what strangers did to an account: attempts from networks that it does not know.
type Hold struct {
	Failures int           // outstanding
	Wait     time.Duration // until the next stranger is let in; 0: at once
}

// Hold returns how strangers to the account of that name are held up. An error matches [ErrName] or [ErrUnavailable].
func (a *Accounts) Hold(ctx context.Context, name string) (Hold, error) {
	if _, err := NormalizeName(name); err != nil {
		return Hold{}, err
	}
	o, err := a.store.Tally(ctx, a.attempt(name, netip.Addr{}).look())
	if err != nil {
		return Hold{}, storeError(err)
	}
	t := o.before[0]
	return Hold{Failures: perAccount.failures(t, o.now), Wait: max(0, t.Closed.Sub(o.now))}, nil
}

// SweepAttempts removes tallies that say nothing any more, and then those that say least while there are more than 2^20: an attacker who
// invents names fills no disk. It removes at most limit of them and returns how many. An error matches [ErrUnavailable].
func (a *Accounts) SweepAttempts(ctx context.Context, limit int) (int, error) {
	n, err := a.store.SweepAttempts(ctx, maxTallies, limit)
	return n, storeError(err)
}
