package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

const (
	eventColumns = `at, type, reason, user_id, session, generation, client_id, actor, key_id, address, user_agent, request_id`
	sqlAppend    = `INSERT INTO events (` + eventColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// Append implements [session.EventLog]: all events are stored or none.
func (s *Store) Append(ctx context.Context, events []session.Event) error {
	if len(events) == 0 {
		return ctx.Err()
	}
	rows := make([][]any, len(events))
	for i := range events {
		e := &events[i]
		rows[i] = []any{micros(e.Time), string(e.Type), orNull(e.Reason), orNull(e.UserID), orNull(e.Session), e.Generation,
			orNull(e.ClientID), orNull(e.Actor), orNull(e.Key), orNull(e.Address), orNull(e.UserAgent), orNull(e.RequestID)}
	}
	return s.write(ctx, "append events", func(tx *tx) error {
		for _, args := range rows {
			if args[0] == nil {
				args[0] = tx.now.UnixMicro()
			}
			if _, err := tx.exec(sqlAppend, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Events implements [sqlstore.Events].
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]sqlstore.StoredEvent, error) {
	return s.events(ctx, `cursor > ?`, limit, after)
}

// events returns at most limit events on a condition, in their order.
func (s *Store) events(ctx context.Context, condition string, limit int, args ...any) ([]sqlstore.StoredEvent, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT cursor, `+eventColumns+` FROM events WHERE `+condition+`
		ORDER BY cursor LIMIT ?`, append(args, max(0, limit))...)
	if err != nil {
		return nil, fmt.Errorf("sqlite: read events: %w", err)
	}
	var events []sqlstore.StoredEvent
	err = each(rows, func(rows *sql.Rows) error {
		var e sqlstore.StoredEvent
		err := rows.Scan(&e.Cursor, stamp{&e.Time}, (*string)(&e.Type), text{&e.Reason}, text{&e.UserID}, text{&e.Event.Session},
			number[uint32]{&e.Generation}, text{&e.ClientID}, text{&e.Actor}, text{&e.Key}, text{&e.Address},
			text{&e.UserAgent}, text{&e.RequestID})
		events = append(events, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read events: %w", err)
	}
	return events, nil
}

// TrimEvents implements [sqlstore.Events].
func (s *Store) TrimEvents(ctx context.Context, keep time.Duration, limit int) (int, error) {
	var trimmed int64
	err := s.write(ctx, "trim events", func(tx *tx) (err error) {
		// Events are stored nearly in the order of their times, so no index of
		// times is needed: the old ones are among the first. One whose time is
		// in the future does not keep those behind it.
		trimmed, err = tx.exec(`DELETE FROM events WHERE cursor IN (SELECT cursor FROM
			(SELECT cursor, at FROM events ORDER BY cursor LIMIT ?) WHERE at < ?)`, max(0, limit), tx.now.Add(-keep).UnixMicro())
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(trimmed), nil
}
