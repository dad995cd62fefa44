package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// clockSlack is how far two times of a sound row may be in the wrong order.
// Two transactions that run side by side each read the clock before they wait
// for the rows; and a machine's clock is set back now and then.
const clockSlack = 24 * time.Hour

// CheckRow returns every way in which a row is one that the engine never
// stores, joined, or nil. now is the store's clock. It says nothing about
// secrets: its errors may be logged.
func CheckRow(row Row, now time.Time) error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(row.ID.IsZero(), "id is zero")
	fault(row.UserID == "", "user is missing")
	fault(row.Transport != Cookie && row.Transport != Bearer, "transport %q is unknown", row.Transport)

	switch row.Binding.Kind {
	case Unbound:
		fault(row.Binding.Thumbprint != "", "unbound, but has a thumbprint")
	case DPoP, DBSC:
		fault(row.Binding.Thumbprint == "", "bound by %s, but has no thumbprint", row.Binding.Kind)
	default:
		fault(true, "binding %q is unknown", row.Binding.Kind)
	}
	fault(row.Binding.Kind != DBSC && !row.Binding.RolledBackAt.IsZero(), "rolled back without a device that could be")

	fault(row.Generation < 1, "generation is 0")
	fault((row.Generation > 1) == row.PriorUsedAt.IsZero(),
		"generation %d, but the first use of the one before it is %v", row.Generation, row.PriorUsedAt)
	// The first generation has none before it that could come late.
	fault(row.Generation >= 1 && row.Generation <= 8 && row.LateRepeats>>(row.Generation-1) != 0,
		"late repeats %08b of more generations than the %d there were", row.LateRepeats, row.Generation)

	fault(row.Ended() != (row.EndReason != ""), "ended at %v, but the reason is %q", row.EndedAt, row.EndReason)
	fault(row.Ended() && !row.Salt.IsZero(), "ended, but the salt is not erased")
	fault(!row.Ended() && row.Salt.IsZero(), "not ended, but the salt is erased")

	fault(row.IdleLimit <= 0, "idle limit of %v", row.IdleLimit)
	fault(row.IdleLimit > row.AbsoluteEnd.Sub(row.CreatedAt), "idle limit of %v exceeds the life from %v to %v",
		row.IdleLimit, row.CreatedAt, row.AbsoluteEnd)
	fault(!row.RotatedAt.Before(row.AbsoluteEnd), "turned at %v, after the absolute end %v", row.RotatedAt, row.AbsoluteEnd)
	fault(row.LastSeen.IsZero() || !row.LastSeen.Equal(row.LastSeen.Truncate(time.Hour)), "last seen %v is no whole hour", row.LastSeen)
	faults = append(faults, checkOrder(&row, now)...)
	return errors.Join(faults...)
}

// checkOrder checks that what happens first has the earlier time. Times of
// what has not happened are zero and are passed over.
func checkOrder(row *Row, now time.Time) (faults []error) {
	created, rotated := stamp{"created", row.CreatedAt}, stamp{"turned", row.RotatedAt}
	for _, s := range []stamp{{"logged in", row.AuthTime}, created, rotated, {"absolute end", row.AbsoluteEnd}} {
		if s.at.IsZero() {
			faults = append(faults, fmt.Errorf("time is missing: %s", s.what))
		}
	}
	used, ended, clock := stamp{"confirmed", row.ConfirmedAt}, stamp{"ended", row.EndedAt}, stamp{"clock", now}
	prior, rolledBack := stamp{"previous generation used", row.PriorUsedAt}, stamp{"rolled back", row.Binding.RolledBackAt}
	inOrder := func(first, then stamp) {
		if !first.at.IsZero() && !then.at.IsZero() && then.at.Add(clockSlack).Before(first.at) {
			faults = append(faults, fmt.Errorf("%s at %v, after %s at %v", first.what, first.at, then.what, then.at))
		}
	}
	inOrder(stamp{"logged in", row.AuthTime}, created)
	inOrder(created, rotated)
	inOrder(created, prior)
	inOrder(rotated, used)
	inOrder(created, rolledBack)
	inOrder(prior, rotated)
	for _, before := range []stamp{rotated, used, rolledBack} {
		inOrder(before, ended)
		inOrder(before, clock)
	}
	inOrder(ended, clock)
	return faults
}

// A stamp is a time of a row and what happened then.
type stamp struct {
	what string
	at   time.Time
}

// fsckPage is how many rows [Fsck] reads at once.
const fsckPage = 1000

// Fsck checks every row of a store, ended ones included, with [CheckRow], and
// tells found of each that has faults. It returns how many rows it checked,
// and an error if it could not check all of them. It changes nothing and may
// run beside a server.
func Fsck(ctx context.Context, store Directory, found func(Row, error)) (checked int, err error) {
	var last ID
	for {
		rows, now, err := store.List(ctx, Query{WithEnded: true, After: last, Limit: fsckPage})
		if err != nil {
			return checked, fmt.Errorf("session: check: list: %w", err)
		}
		for _, row := range rows {
			if row.ID.Compare(last) <= 0 {
				return checked, errors.New("session: check: the store lists rows out of order")
			}
			last = row.ID
			if fault := CheckRow(row, now); fault != nil {
				found(row, fault)
			}
			checked++
		}
		if len(rows) < fsckPage {
			return checked, nil
		}
	}
}
