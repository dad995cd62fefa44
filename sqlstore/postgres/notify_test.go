package postgres_test

import (
	"testing"

	"github.com/pawlauth/pawl/session"
)

// Nobody waits until the other nodes are told, and they are told of many ends
// at once. Close waits, so that the last end is not left to their polls.
func TestNobodyWaitsUntilOthersAreTold(t *testing.T) {
	url := database(t)
	conn := connect(t, url)
	run(t, conn, `CREATE SCHEMA slow`, `CREATE TABLE slow.told (n int)`, `CREATE SEQUENCE slow.begun`, `SELECT pg_advisory_lock(7)`,
		`CREATE FUNCTION slow.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM nextval('slow.begun');
			PERFORM pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7);
			INSERT INTO slow.told VALUES (1);
		END $$`)
	s := open(t, with(t, url, "search_path", "slow,pg_catalog"), nil)
	number := func(query string) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	rows := create(t, s, 60)
	for i, row := range rows {
		if i%2 == 0 {
			if _, err := s.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonSignOut); err != nil {
				t.Fatal(err)
			}
			continue
		}
		c := turn(row, row.CreatedAt)
		c.End = session.ReasonReuse
		if err := s.Replace(t.Context(), []session.Change{c})[0]; err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it is told", func() bool { return number(`SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'`) > 0 })
	// Each is given up after a second.
	if begun := number(`SELECT last_value FROM slow.begun`); begun > len(rows)/4 {
		t.Errorf("told %d times of %d ends", begun, len(rows))
	}
	run(t, conn, `SELECT pg_advisory_unlock(7)`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if told := number(`SELECT count(*) FROM slow.told`); told == 0 {
		t.Error("closed before the others were told")
	}
	if _, err := s.End(t.Context(), session.Selection{Session: rows[0].ID}, session.ReasonSignOut); err == nil {
		t.Error("ended in a closed store")
	}
}
