package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

const (
	eventColumns = `at, type, reason, user_id, session, generation, client_id, actor, key_id, address, user_agent, request_id`

	// The counter's row is locked from here until the events are committed. It
	// counts the microseconds since 1970, or one by one where that is faster: a
	// database that lost its last writes, since a standby took over or a backup
	// was restored, goes on above the cursors that it no longer knows of. They
	// stay below 2^53, which programs take for a number, until the year 2255.
	sqlAppend = `WITH c AS (UPDATE pawl.counter SET value = greatest(value, (extract(epoch FROM ` + sqlNow + `) * 1000000)::bigint) + $2 WHERE name = 'events' RETURNING value)
		INSERT INTO pawl.events (cursor, ` + eventColumns + `)
		SELECT c.value - $2 + place, coalesce(at, ` + sqlNow + `), type, reason, user_id, session, generation, client_id, actor, key_id, address, user_agent, request_id
		FROM c, unnest($3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[],
			$12::text[], $13::text[], $14::text[]) WITH ORDINALITY AS e (` + eventColumns + `, place)`
)

var errCounter = errors.New("postgres: append events: the row of pawl.counter is missing; restore it with the greatest cursor of pawl.events")

// Events and their cursors: what a reader may rely on.
//
//   - An event that becomes visible later has a greater cursor. Who asks for
//     what comes after the last cursor it got misses nothing that is kept, and
//     gets nothing twice.
//   - No cursor is given twice, not even by a database that lost its last
//     writes, if its clock is not behind the one of before by more than the
//     time that went by in between.
//   - Cursors have gaps. What they say of time is nearly true, and not for use.
//
// What a database lost is lost: its events may be read by some and never again.

// Append implements [session.EventLog]: all events are stored or none. An event
// without a time gets the store's.
func (s *Store) Append(ctx context.Context, events []session.Event) error {
	if len(events) == 0 {
		return ctx.Err()
	}
	times, types, generations := make([]*time.Time, len(events)), make([]string, len(events)), make([]int64, len(events))
	var texts [9][]*string
	for i := range events {
		e := &events[i]
		times[i], types[i], generations[i] = orNever(e.Time), cleaned(string(e.Type)), int64(e.Generation)
		for k, text := range [...]string{e.Reason, e.UserID, e.Session, e.ClientID, e.Actor, e.Key, e.Address, e.UserAgent, e.RequestID} {
			texts[k] = append(texts[k], orNull(text))
		}
	}
	return s.one(ctx, errCounter, "append events", sqlAppend, s.clock(), int64(len(events)), times, types, texts[0], texts[1], texts[2], generations,
		texts[3], texts[4], texts[5], texts[6], texts[7], texts[8])
}

const (
	sqlEvents   = `SELECT cursor, ` + eventColumns + ` FROM pawl.events WHERE cursor > $1 ORDER BY cursor LIMIT $2`
	sqlEventsOf = `SELECT cursor, ` + eventColumns + ` FROM pawl.events WHERE user_id = $3 AND cursor > $1 ORDER BY cursor LIMIT $2`
)

// Events implements [sqlstore.Events].
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]sqlstore.StoredEvent, error) {
	return collect(ctx, s, "read events", reads, scanEvent, sqlEvents, binaryResults, after, max(0, limit))
}

// EventsOf implements [sqlstore.Events].
func (s *Store) EventsOf(ctx context.Context, userID string, after int64, limit int) ([]sqlstore.StoredEvent, error) {
	if !storable(userID) {
		return nil, ctx.Err()
	}
	return collect(ctx, s, "read events of a user", reads, scanEvent, sqlEventsOf, binaryResults, after, max(0, limit), userID)
}

func scanEvent(rows pgx.Rows) (sqlstore.StoredEvent, error) {
	r := record{columns: rows.RawValues()}
	e := r.event()
	return e, r.err
}

// event reads the columns of an event, the cursor first.
func (r *record) event() (e sqlstore.StoredEvent) {
	e.Cursor, e.Time, e.Type, e.Reason = r.int64(), r.time(), session.EventType(r.text()), r.maybeText()
	e.UserID, e.Event.Session, e.Generation = r.maybeText(), r.maybeText(), uint32(r.int64())
	e.ClientID, e.Actor, e.Key = r.maybeText(), r.maybeText(), r.maybeText()
	e.Address, e.UserAgent, e.RequestID = r.maybeText(), r.maybeText(), r.maybeText()
	return e
}

// Events are stored nearly in the order of their times, so no index of times is
// needed: the old ones are among the first. One whose time is in the future
// does not keep those behind it. No more are read than may be removed.
const sqlTrim = `DELETE FROM pawl.events WHERE cursor = ANY (ARRAY(SELECT cursor FROM
	(SELECT cursor, at FROM pawl.events ORDER BY cursor LIMIT $3) AS first WHERE at < ` + sqlNow + ` - $2::interval))`

// TrimEvents implements [sqlstore.Events].
func (s *Store) TrimEvents(ctx context.Context, keep time.Duration, limit int) (int, error) {
	return s.exec(ctx, "trim events", sqlTrim, s.clock(), keep, max(0, limit))
}
