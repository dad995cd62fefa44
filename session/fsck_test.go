package session

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/token"
)

// Each case breaks one rule of a sound row.
func TestCheckRowFindsEachFault(t *testing.T) {
	sound := map[string]func(*Row){
		"the sample":         func(*Row) {},
		"a first generation": func(r *Row) { r.Generation, r.PriorUsedAt, r.LateRepeats = 1, time.Time{}, 0 },
		"a second that came late": func(r *Row) {
			r.Generation, r.LateRepeats, r.ConfirmedAt = 2, 1, time.Time{}
		},
		"an ended one":                 func(r *Row) { r.EndedAt, r.EndReason, r.Salt = noon, ReasonReuse, token.Salt{} },
		"a bound one":                  func(r *Row) { device(time.Hour)(r) },
		"a clock that was set back":    func(r *Row) { r.CreatedAt, r.ConfirmedAt = r.RotatedAt.Add(time.Hour), r.RotatedAt.Add(-time.Hour) },
		"a clock read before its rows": func(r *Row) { r.RotatedAt, r.ConfirmedAt = noon.Add(time.Second), time.Time{} },
		"a generation begun by a clock read before its predecessor's use": func(r *Row) { r.PriorUsedAt = r.RotatedAt.Add(time.Second) },
	}
	for name, edit := range sound {
		row := sample()
		edit(&row)
		if err := CheckRow(row, noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*Row){
		"no id":                               func(r *Row) { r.ID = ID{} },
		"no user":                             func(r *Row) { r.UserID = "" },
		"no transport":                        func(r *Row) { r.Transport = "" },
		"unknown transport":                   func(r *Row) { r.Transport = "pigeon" },
		"unknown binding":                     func(r *Row) { r.Binding = Binding{Kind: "rope", Thumbprint: "t"} },
		"bound to nothing":                    func(r *Row) { r.Binding.Kind = DPoP },
		"thumbprint of nothing":               func(r *Row) { r.Binding.Thumbprint = "t" },
		"rolled back without a device":        func(r *Row) { r.Binding.RolledBackAt = r.RotatedAt },
		"generation 0":                        func(r *Row) { r.Generation, r.PriorUsedAt = 0, time.Time{} },
		"a predecessor that was never used":   func(r *Row) { r.PriorUsedAt = time.Time{} },
		"a predecessor of the first":          func(r *Row) { r.Generation, r.LateRepeats = 1, 0 },
		"late repeats of what never was":      func(r *Row) { r.Generation, r.LateRepeats = 2, 0b10 },
		"ended without reason":                func(r *Row) { r.EndedAt, r.Salt = noon, token.Salt{} },
		"a reason without an end":             func(r *Row) { r.EndReason = ReasonReuse },
		"ended with its salt":                 func(r *Row) { r.EndedAt, r.EndReason = noon, ReasonReuse },
		"live without its salt":               func(r *Row) { r.Salt = token.Salt{} },
		"no idle limit":                       func(r *Row) { r.IdleLimit = 0 },
		"an idle limit over the absolute one": func(r *Row) { r.IdleLimit = 91 * day },
		"turned at the absolute end":          func(r *Row) { r.AbsoluteEnd, r.IdleLimit = r.RotatedAt, time.Hour },
		"last seen to the second":             func(r *Row) { r.LastSeen = r.LastSeen.Add(time.Second) },
		"never seen":                          func(r *Row) { r.LastSeen = time.Time{} },
		"no login":                            func(r *Row) { r.AuthTime = time.Time{} },
		"not created":                         func(r *Row) { r.CreatedAt = time.Time{} },
		"never turned":                        func(r *Row) { r.RotatedAt = time.Time{} },
		"no absolute end":                     func(r *Row) { r.AbsoluteEnd = time.Time{} },
		"login after the session":             func(r *Row) { r.AuthTime = r.CreatedAt.Add(clockSlack + tick) },
		"turned before it was created":        func(r *Row) { r.CreatedAt = r.RotatedAt.Add(clockSlack + tick) },
		"predecessor used before all":         func(r *Row) { r.PriorUsedAt = r.CreatedAt.Add(-clockSlack - tick) },
		"predecessor used long after it":      func(r *Row) { r.PriorUsedAt = r.RotatedAt.Add(clockSlack + tick) },
		"confirmed before it was made":        func(r *Row) { r.ConfirmedAt = r.RotatedAt.Add(-clockSlack - tick) },
		"rolled back before all":              func(r *Row) { device(30 * day)(r) },
		"ended long before it turned":         func(r *Row) { r.EndedAt, r.EndReason, r.Salt = r.RotatedAt.Add(-clockSlack-tick), "x", token.Salt{} },
		"turned in the future":                func(r *Row) { r.RotatedAt, r.ConfirmedAt = noon.Add(clockSlack+tick), time.Time{} },
		"confirmed in the future":             func(r *Row) { r.ConfirmedAt = noon.Add(clockSlack + tick) },
		"ended in the future":                 func(r *Row) { r.EndedAt, r.EndReason, r.Salt = noon.Add(clockSlack+tick), "x", token.Salt{} },
	} {
		row := sample()
		edit(&row)
		if CheckRow(row, noon) == nil {
			t.Errorf("%s: found sound", name)
		}
	}
}

// rowsOf is a directory of rows that cannot change.
type rowsOf struct {
	Directory
	rows []Row
	err  error
}

func (d rowsOf) List(_ context.Context, q Query) ([]Row, time.Time, error) {
	var page []Row
	for _, row := range d.rows {
		if row.ID.Compare(q.After) > 0 && len(page) < q.Limit && (q.WithEnded || !row.Ended()) {
			page = append(page, row)
		}
	}
	return page, noon, d.err
}

// Rows: 252.
func TestFsckReadsEveryRow(t *testing.T) {
	const n = 2*fsckPage + 3
	var rows []Row
	for i := range n {
		row := sample()
		row.ID = ID{1, byte(i >> 8), byte(i)}
		rows = append(rows, row)
	}
	rows[fsckPage].Generation = 0
	rows[n-1].EndedAt, rows[n-1].EndReason = noon, ReasonReuse // and its salt is there
	var bad []ID
	collect := func(row Row, fault error) {
		if fault == nil {
			t.Error("found without a fault")
		}
		bad = append(bad, row.ID)
	}
	checked, err := Fsck(t.Context(), rowsOf{rows: rows}, collect)
	if err != nil || checked != n || !slices.Equal(bad, []ID{rows[fsckPage].ID, rows[n-1].ID}) {
		t.Errorf("checked %d rows (%v), found %d faulty; want %d, and two", checked, err, len(bad), n)
	}

	broken := errors.New("broken")
	if _, err := Fsck(t.Context(), rowsOf{err: broken}, collect); !errors.Is(err, broken) {
		t.Errorf("a store that fails: %v", err)
	}
	// A store that repeats itself would be read for ever.
	slices.Reverse(rows)
	if _, err := Fsck(t.Context(), rowsOf{rows: rows}, func(Row, error) {}); err == nil {
		t.Error("rows out of order were found sound")
	}
}
