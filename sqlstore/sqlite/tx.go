package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// A tx is the transaction of one round, as a write sees it.
type tx struct {
	now time.Time // the store's clock, read when the transaction began

	conn     *sql.Conn
	prepared map[string]*sql.Stmt // by text, for the life of the connection
}

// exec runs a statement to its end and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (changed int64, err error) {
	stmt, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// one runs a statement that should change a row, and returns missing if there
// was none to change.
func (t *tx) one(missing error, query string, args ...any) error {
	changed, err := t.exec(query, args...)
	if err == nil && changed == 0 {
		return missing
	}
	return err
}

// query runs a statement and hands each row to scan, up to the last one: a
// statement with RETURNING has done its work only then.
func (t *tx) query(scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.rows(query, args...)
	if err != nil {
		return err
	}
	return each(rows, scan)
}

// rows runs a statement; the caller reads and closes its rows.
func (t *tx) rows(query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return stmt.Query(args...)
}

// stmt never gets a context that can end: SQLite would roll back the
// transaction of all.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if stmt := t.prepared[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.prepared[query] = stmt
	return stmt, nil
}

// isolated runs apply so that it changes all that it should or nothing. An
// error of undoing means that the transaction is lost.
func (t *tx) isolated(apply func(*tx) error) (failed, undone error) {
	if _, err := t.exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	if failed = apply(t); failed != nil {
		if _, err := t.exec("ROLLBACK TO one"); err != nil {
			return failed, fmt.Errorf("undo: %w", err)
		}
	}
	_, undone = t.exec("RELEASE one")
	return failed, undone
}

// close closes the connection and whatever transaction it is in.
func (t *tx) close() error {
	for _, stmt := range t.prepared {
		_ = stmt.Close()
	}
	err := t.conn.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) {
		err = nil // it was told to be bad, so that the pool closes it
	}
	return err
}

// each hands every row to scan and closes the rows.
func each(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
