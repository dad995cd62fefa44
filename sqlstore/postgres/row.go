package postgres

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/session"
)

// sessionColumns are the columns of a session in the order of [rowArgs] and
// [record.session].
const sessionColumns = `id, salt, master, user_id, client_id, audience, scope,
	generation, rotated_at, confirmed_at, prior_used_at, late_repeats, key_hash,
	created_at, auth_time, methods, absolute_end, idle_limit, transport, remembered,
	binding, thumbprint, rolled_back_at, user_agent, address, last_seen, ended_at, end_reason`

// errMethod says that a login method cannot be kept.
var errMethod = errors.New("a login method is empty or has a line break")

func rowArgs(r *session.Row) ([]any, error) {
	for _, method := range r.Methods {
		if method == "" || strings.Contains(method, "\n") {
			return nil, errMethod
		}
	}
	return []any{
		[16]byte(r.ID), r.Salt[:], r.Key[:], r.UserID, r.ClientID, r.Audience, r.Scope,
		int64(r.Generation), r.RotatedAt, orNever(r.ConfirmedAt), orNever(r.PriorUsedAt), int16(r.LateRepeats), hashArg(r.KeyHash),
		r.CreatedAt, r.AuthTime, strings.Join(r.Methods, "\n"), r.AbsoluteEnd,
		int64(r.IdleLimit / time.Microsecond), string(r.Transport), r.Remembered,
		string(r.Binding.Kind), r.Binding.Thumbprint, orNever(r.Binding.RolledBackAt), cleaned(r.UserAgent), cleaned(r.Address),
		r.LastSeen, orNever(r.EndedAt), string(r.EndReason),
	}, nil
}

// orNever is a time as the database keeps it; the zero time is NULL.
func orNever(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// hashArg is a key hash as the database keeps it: NULL if there is none.
func hashArg(h session.KeyHash) []byte {
	if h == (session.KeyHash{}) {
		return nil
	}
	return h[:]
}

// binaryResults asks for columns in the form that [record] reads.
var binaryResults = pgx.QueryResultFormats{pgx.BinaryFormatCode}

// A record reads the columns of one row, one after the other, in the binary
// form of the protocol: with 28 columns, pgx's general way costs as much as the
// database does.
type record struct {
	columns [][]byte
	err     error
}

// errColumn says that a column holds what the schema does not allow. It never
// quotes the value, which may be a secret.
var errColumn = errors.New("a column has a value of the wrong kind or size")

// next returns the next column, which is nil for NULL; with a size, it must
// have that.
func (r *record) next(size int) []byte {
	if len(r.columns) == 0 {
		r.err = errColumn
		return nil
	}
	column := r.columns[0]
	r.columns = r.columns[1:]
	if column != nil && size > 0 && len(column) != size {
		r.err = errColumn
		return nil
	}
	return column
}

// some is next for a column that is not NULL.
func (r *record) some(size int) []byte {
	column := r.next(size)
	if column == nil {
		r.err = errColumn
		return make([]byte, size)
	}
	return column
}

func (r *record) text() string    { return string(r.some(0)) }
func (r *record) int16() int16    { return int16(binary.BigEndian.Uint16(r.some(2))) }
func (r *record) int64() int64    { return int64(binary.BigEndian.Uint64(r.some(8))) }
func (r *record) truth() bool     { return r.some(1)[0] != 0 }
func (r *record) bytes(to []byte) { copy(to, r.some(len(to))) }
func (r *record) maybe(to []byte) { clear(to); copy(to, r.next(len(to))) }

// epochOf2000 is where PostgreSQL's times count from.
const epochOf2000 = 946684800 * int64(time.Second/time.Microsecond)

// time returns the zero time for NULL and -infinity.
func (r *record) time() time.Time {
	column := r.next(8)
	if column == nil {
		return time.Time{}
	}
	micros := int64(binary.BigEndian.Uint64(column))
	if micros == -1<<63 {
		return time.Time{}
	}
	return time.UnixMicro(micros + epochOf2000).UTC()
}

// session reads the columns of a session.
func (r *record) session() (row session.Row) {
	r.bytes(row.ID[:])
	r.bytes(row.Salt[:])
	r.bytes(row.Key[:])
	row.UserID, row.ClientID, row.Audience, row.Scope = r.text(), r.text(), r.text(), r.text()
	row.Generation = uint32(r.int64())
	row.RotatedAt, row.ConfirmedAt, row.PriorUsedAt = r.time(), r.time(), r.time()
	row.LateRepeats = uint8(r.int16())
	r.maybe(row.KeyHash[:])
	row.CreatedAt, row.AuthTime = r.time(), r.time()
	if methods := r.text(); methods != "" {
		row.Methods = strings.Split(methods, "\n")
	}
	row.AbsoluteEnd = r.time()
	row.IdleLimit = time.Duration(r.int64()) * time.Microsecond
	row.Transport, row.Remembered = session.Transport(r.text()), r.truth()
	row.Binding.Kind, row.Binding.Thumbprint = session.BindingKind(r.text()), r.text()
	row.Binding.RolledBackAt = r.time()
	row.UserAgent, row.Address, row.LastSeen = r.text(), r.text(), r.time()
	row.EndedAt, row.EndReason = r.time(), session.Reason(r.text())
	return row
}

// scanSession reads a row that begins with the store's clock and the epoch.
func scanSession(rows pgx.Rows) (row session.Row, now time.Time, err error) {
	r := record{columns: rows.RawValues()}
	now = r.time()
	epoch := session.Epoch{At: r.time(), Reason: session.Reason(r.text())}
	row = epoch.Apply(r.session())
	return row, now, r.err
}
