package sqlstore

import (
	"fmt"
	"strings"

	"github.com/pawlauth/pawl/account"
)

// maxFaults bounds a report: of a database that is damaged throughout, the
// first faults say enough.
const maxFaults = 200

// A Report is what a check found. Its faults may be logged: they contain no
// secret.
type Report struct {
	Sessions, Ended, Keys, Users, Events int // checked; of the sessions, those that ended

	Faults []error
	More   int // faults beyond those kept
}

// String returns the report as text for the operator, one fault a line.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sessions (%d ended), %d keys, %d users, %d events: ", r.Sessions, r.Ended, r.Keys, r.Users, r.Events)
	if len(r.Faults) == 0 {
		return b.String() + "no fault"
	}
	fmt.Fprintf(&b, "%d faults", len(r.Faults)+r.More)
	for _, fault := range r.Faults {
		b.WriteString("\n" + strings.ReplaceAll(fault.Error(), "\n", "; "))
	}
	return b.String()
}

// Fault adds a fault.
func (r *Report) Fault(format string, args ...any) {
	if len(r.Faults) >= maxFaults {
		r.More++
		return
	}
	r.Faults = append(r.Faults, fmt.Errorf(format, args...))
}

// CheckKey checks what every store must keep of a signing key.
func (r *Report) CheckKey(id, state string, sealed int) {
	r.Keys++
	switch signs := state == "next" || state == "active"; {
	case signs && sealed == 0:
		r.Fault("key %s: %s, but has no private half", id, state)
	case !signs && sealed > 0:
		r.Fault("key %s: %s, but its private half is not erased", id, state)
	}
}

// CheckUsers checks all users, in the order of their names.
func (r *Report) CheckUsers(users []account.User) {
	r.Users = len(users)
	for i, u := range users {
		if normal, err := account.NormalizeName(u.Name); err != nil || normal != u.Name {
			r.Fault("user %s: the name is not in its normal form", u.ID)
		}
		if _, err := u.Hash.Params(); err != nil {
			r.Fault("user %s: %w", u.ID, err)
		}
		if i > 0 && users[i-1].Name >= u.Name {
			r.Fault("user %s: the name is not unique", u.ID)
		}
	}
}
