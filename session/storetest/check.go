package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// feedWindow is how far back [Check] reads the feed.
const feedWindow = time.Minute

// Check returns every fault that [session.Fsck] finds in the store and in its
// feed: a session that was ended within the last minute must be in it, one
// that lives must not. A store without a feed is a fault. The store must be at
// rest.
func Check(ctx context.Context, store session.Store) error {
	var faults []error
	_, err := session.Fsck(ctx, store, func(row session.Row, fault error) {
		faults = append(faults, fmt.Errorf("session %s: %w", row.ID, fault))
	})
	if err != nil {
		return err
	}
	f, ok := feedOf(store)
	if !ok {
		return errors.Join(append(faults, errors.New("the store has no feed of ended sessions"))...)
	}
	told, err := f.Ended(ctx, feedWindow)
	if err != nil {
		return err
	}
	var last session.ID
	for {
		rows, now, err := store.List(ctx, session.Query{WithEnded: true, After: last, Limit: 1000})
		if err != nil {
			return err
		}
		for _, row := range rows {
			listed := slices.Contains(told.Sessions, row.ID) || row.EndedAt.Equal(told.Epoch)
			if row.Ended() && now.Sub(row.EndedAt) < feedWindow && !listed {
				faults = append(faults, fmt.Errorf("session %s: ended, but not in the feed", row.ID))
			}
			if !row.Ended() && slices.Contains(told.Sessions, row.ID) {
				faults = append(faults, fmt.Errorf("session %s: in the feed, but not ended", row.ID))
			}
			if row.ID.Compare(last) <= 0 {
				return errors.Join(append(faults, errors.New("the store lists rows out of order"))...)
			}
			last = row.ID
		}
		if len(rows) == 0 {
			return errors.Join(faults...)
		}
	}
}

// feedOf finds the feed of a store, behind a [Faulty] one too.
func feedOf(store session.Store) (verify.Feed, bool) {
	if f, ok := store.(*Faulty); ok {
		store = f.Store
	}
	f, ok := store.(verify.Feed)
	return f, ok
}
