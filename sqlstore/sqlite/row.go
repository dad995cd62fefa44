package sqlite

import (
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/pawlauth/pawl/session"
)

// sessionColumns are the columns of a session in the order of [rowArgs].
const sessionColumns = `id, salt, master, user_id, client_id, audience, scope,
	generation, rotated_at, confirmed_at, prior_used_at, late_repeats, key_hash,
	created_at, auth_time, methods, absolute_end, idle_limit, transport, remembered,
	binding, thumbprint, rolled_back_at, user_agent, address, last_seen, ended_at, end_reason`

// rowColumns are what [rowScanner] reads.
const rowColumns = sessionColumns + `, ` + epochColumns

// errMethod says that a login method cannot be kept.
var errMethod = errors.New("a login method is empty or has a line break")

func rowArgs(r *session.Row) ([]any, error) {
	for _, method := range r.Methods {
		if method == "" || strings.Contains(method, "\n") {
			return nil, errMethod
		}
	}
	return []any{
		r.ID[:], r.Salt[:], r.Key[:], r.UserID, r.ClientID, r.Audience, r.Scope,
		r.Generation, r.RotatedAt.UnixMicro(), micros(r.ConfirmedAt), micros(r.PriorUsedAt), r.LateRepeats, hashArg(r.KeyHash),
		r.CreatedAt.UnixMicro(), r.AuthTime.UnixMicro(), strings.Join(r.Methods, "\n"), r.AbsoluteEnd.UnixMicro(),
		int64(r.IdleLimit / time.Microsecond), string(r.Transport), r.Remembered,
		string(r.Binding.Kind), r.Binding.Thumbprint, micros(r.Binding.RolledBackAt), r.UserAgent, r.Address,
		r.LastSeen.UnixMicro(), micros(r.EndedAt), string(r.EndReason),
	}, nil
}

// hashArg is a key hash as the database keeps it: NULL if there is none.
func hashArg(h session.KeyHash) any {
	if h == (session.KeyHash{}) {
		return nil
	}
	return h[:]
}

// A rowScanner reads sessions, with the same targets for every row, as the
// epoch leaves them.
type rowScanner struct {
	row     session.Row
	epoch   session.Epoch
	methods string
	targets []any
}

func newRowScanner() *rowScanner {
	s := &rowScanner{}
	r := &s.row
	s.targets = []any{
		fixed{r.ID[:]}, fixed{r.Salt[:]}, fixed{r.Key[:]}, &r.UserID, &r.ClientID, &r.Audience, &r.Scope,
		number[uint32]{&r.Generation}, stamp{&r.RotatedAt}, stamp{&r.ConfirmedAt}, stamp{&r.PriorUsedAt},
		number[uint8]{&r.LateRepeats}, fixed{r.KeyHash[:]},
		stamp{&r.CreatedAt}, stamp{&r.AuthTime}, &s.methods, stamp{&r.AbsoluteEnd},
		length{&r.IdleLimit}, (*string)(&r.Transport), flag{&r.Remembered},
		(*string)(&r.Binding.Kind), &r.Binding.Thumbprint, stamp{&r.Binding.RolledBackAt}, &r.UserAgent, &r.Address,
		stamp{&r.LastSeen}, stamp{&r.EndedAt}, (*string)(&r.EndReason),
		stamp{&s.epoch.At}, text{(*string)(&s.epoch.Reason)},
	}
	return s
}

// scan reads one row.
func (s *rowScanner) scan(rows *sql.Rows) (session.Row, error) {
	if err := rows.Scan(s.targets...); err != nil {
		return session.Row{}, err
	}
	s.row.Methods = nil
	if s.methods != "" {
		s.row.Methods = strings.Split(s.methods, "\n")
	}
	return s.epoch.Apply(s.row), nil
}

// scanAll reads every row.
func scanAll(rows *sql.Rows, hint int) ([]session.Row, error) {
	scanner, all := newRowScanner(), make([]session.Row, 0, hint)
	return all, each(rows, func(rows *sql.Rows) error {
		row, err := scanner.scan(rows)
		all = append(all, row)
		return err
	})
}
