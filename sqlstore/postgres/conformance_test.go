package postgres_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/service/servicetest"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/sqlstoretest"
)

// flaky makes the database undo a part of all writes, at random, as it undoes
// those of transactions that cannot be put in an order.
const flaky = `CREATE FUNCTION pawl.fails() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF random() < 0.25 THEN RAISE EXCEPTION 'at random' USING ERRCODE = '40001'; END IF;
		RETURN NULL;
	END $$;
	DO $$ DECLARE t text; BEGIN
		FOR t IN SELECT table_name FROM information_schema.tables WHERE table_schema = 'pawl' AND table_name NOT LIKE 'goose%' LOOP
			EXECUTE format('CREATE TRIGGER fails AFTER INSERT OR UPDATE OR DELETE ON pawl.%I FOR EACH STATEMENT EXECUTE FUNCTION pawl.fails()', t);
		END LOOP;
	END $$`

// everyWay runs a test on a database as it is by default, and on one with the
// strictest isolation where writes are undone at random.
func everyWay(t *testing.T, test func(t *testing.T, database func(testing.TB) string)) {
	t.Run("Default", func(t *testing.T) { test(t, database) })
	t.Run("Serializable", func(t *testing.T) {
		test(t, func(t testing.TB) string {
			url := database(t)
			run(t, connect(t, url), flaky)
			return serializable(t, url)
		})
	})
}

// Rows: 114, 169, A83, A96.
func TestStoreKeepsTheContractOfUsers(t *testing.T) {
	everyWay(t, func(t *testing.T, database func(testing.TB) string) {
		accounttest.Run(t, func(t *testing.T) account.Store { return open(t, database(t), nil) })
	})
}

// Rows: 114, A96.
func TestStoreKeepsTheContractOfServices(t *testing.T) {
	everyWay(t, func(t *testing.T, database func(testing.TB) string) {
		servicetest.Run(t, func(t *testing.T) service.Store { return open(t, database(t), nil) })
		t.Run("TwoOpenings", func(t *testing.T) {
			url := database(t)
			servicetest.Contend(t, open(t, url, nil), open(t, url, time.Now))
		})
	})
}

// Rows: 114, 169, 237, 243, A83, A96.
func TestStoreKeepsTheContractOfSQLStores(t *testing.T) {
	everyWay(t, func(t *testing.T, database func(testing.TB) string) {
		urls := make(map[sqlstore.Store]string)
		sqlstoretest.Run(t, sqlstoretest.Maker{
			Open: func(t *testing.T, now func() time.Time) sqlstore.Store {
				url := database(t)
				s := open(t, url, now)
				urls[s] = url
				return s
			},
			Again: func(t *testing.T, first sqlstore.Store, now func() time.Time) sqlstore.Store {
				return open(t, urls[first], now)
			},
		})
	})
}
