package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Page returns the live sessions of a user in the order of their ids, and the
// store's clock: those after an id, of at most limit rows that are read. It
// returns the id to go on after, which is zero after the last page; a page in
// between may be empty.
func (e *Engine) Page(ctx context.Context, userID string, after ID, limit int) (rows []Row, next ID, now time.Time, err error) {
	if userID == "" || limit < 1 {
		return nil, ID{}, time.Time{}, errors.New("session: a page is of one user and of at least one row")
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	rows, now, err = e.Store.List(ctx, Query{User: userID, After: after, Limit: limit})
	if err != nil {
		return nil, ID{}, now, fmt.Errorf("%w: list: %w", ErrUnavailable, err)
	}
	if len(rows) == limit {
		next = rows[limit-1].ID
	}
	rows = slices.DeleteFunc(rows, func(r Row) bool { known := e.known(r, now); return !known.Live(now) })
	return rows, next, now, nil
}

// Known reports whether a user has or had a session that is not forgotten yet.
func (e *Engine) Known(ctx context.Context, userID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	rows, _, err := e.Store.List(ctx, Query{User: userID, WithEnded: true, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("%w: list: %w", ErrUnavailable, err)
	}
	return len(rows) > 0, nil
}
