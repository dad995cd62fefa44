package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/pawlauth/pawl/account"
)

// people is our own table of users. It borrows Pawl's Argon2id hasher; any
// other way to check a password, or no password at all, is as good to Pawl.
type people struct {
	db     *sql.DB
	hasher *account.Hasher
	nobody account.Hash // verified for unknown names, so that they take as long
}

const schema = `CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, hash TEXT NOT NULL) STRICT`

func openPeople(source string) (*people, error) {
	db, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	hasher, err := account.NewHasher(account.DefaultParams(), 2, 5*time.Second)
	if err != nil {
		return nil, err
	}
	nobody, err := hasher.Hash(context.Background(), account.NewPassword("nobody has this password"))
	return &people{db, hasher, nobody}, err
}

func (p *people) add(ctx context.Context, name, password string) error {
	hash, err := p.hasher.Hash(ctx, account.NewPassword(password))
	if err != nil {
		return err
	}
	_, err = p.db.ExecContext(ctx, `INSERT INTO people (name, hash) VALUES (?, ?)`, name, hash)
	return err
}

// check returns the id of the person with that name and password; empty if
// there is none.
func (p *people) check(ctx context.Context, name, password string) (id string, err error) {
	var number int64
	hash := p.nobody
	err = p.db.QueryRowContext(ctx, `SELECT id, hash FROM people WHERE name = ?`, name).Scan(&number, &hash)
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	good, err := p.hasher.Verify(ctx, hash, account.NewPassword(password))
	if err != nil || !good || !known {
		return "", err
	}
	return fmt.Sprintf("person-%d", number), nil
}
