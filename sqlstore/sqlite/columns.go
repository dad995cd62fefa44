package sqlite

import (
	"errors"
	"time"
)

// errColumn says that a column holds what the schema does not allow. It never
// quotes the value, which may be a secret.
var errColumn = errors.New("a column has a value of the wrong kind or size")

// micros is a time as the database keeps it; the zero time is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// orNull is a text that is mostly missing.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// A stamp scans a time. NULL is the zero time.
type stamp struct{ to *time.Time }

// Scan implements [sql.Scanner].
func (s stamp) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*s.to = time.Time{}
	case int64:
		*s.to = time.UnixMicro(v).UTC()
	default:
		return errColumn
	}
	return nil
}

// A length scans a duration.
type length struct{ to *time.Duration }

// Scan implements [sql.Scanner].
func (l length) Scan(value any) error {
	v, ok := value.(int64)
	if !ok {
		return errColumn
	}
	*l.to = time.Duration(v) * time.Microsecond
	return nil
}

// A number scans an unsigned number. It is what [sql.Rows.Scan] does too, but
// not by way of a text.
type number[T uint8 | uint32] struct{ to *T }

// Scan implements [sql.Scanner].
func (n number[T]) Scan(value any) error {
	v, ok := value.(int64)
	if !ok || int64(T(v)) != v {
		return errColumn
	}
	*n.to = T(v)
	return nil
}

// A flag scans a truth value.
type flag struct{ to *bool }

// Scan implements [sql.Scanner].
func (f flag) Scan(value any) error {
	v, ok := value.(int64)
	if !ok || v < 0 || v > 1 {
		return errColumn
	}
	*f.to = v == 1
	return nil
}

// A fixed scans bytes of a fixed number. NULL is all zero.
type fixed struct{ to []byte }

// Scan implements [sql.Scanner].
func (f fixed) Scan(value any) error {
	if value == nil {
		clear(f.to)
		return nil
	}
	v, ok := value.([]byte)
	if !ok || len(v) != len(f.to) {
		return errColumn
	}
	copy(f.to, v)
	return nil
}

// A text scans a string. NULL is the empty one.
type text struct{ to *string }

// Scan implements [sql.Scanner].
func (t text) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t.to = ""
	case string:
		*t.to = v
	default:
		return errColumn
	}
	return nil
}
