package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pawlauth/pawl/internal/pgtest"
)

// minSecret is how long a password must be, in characters, to be looked for in
// what is printed.
const minSecret = 8

// TestScriptsOnPostgres runs the command line on a PostgreSQL; each script says
// what it shows. $PGURL and $OTHER are empty databases of the script's own,
// $SECRET is the password in their URLs, $NONESUCH is a database that is not
// there and $WRONG has another password; "sql URL STATEMENT" does what no command
// of Pawl's does.
//
// Rows: 143, 186, 197, A45, A98
func TestScriptsOnPostgres(t *testing.T) {
	pgtest.Database(t) // without PostgreSQL, nothing of this runs
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/postgres",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			at := pgtest.Database(t)
			env.Setenv("PGURL", at)
			env.Setenv("OTHER", pgtest.Database(t))
			u, err := url.Parse(at)
			if err != nil {
				return err
			}
			secret, _ := u.User.Password()
			if len(secret) < minSecret {
				secret = "no password worth looking for"
			}
			env.Setenv("SECRET", secret)
			wrong := *u
			wrong.User = url.UserPassword(u.User.Username(), "hunter2-sekrit")
			env.Setenv("WRONG", wrong.String())
			u.Path += "_nonesuch"
			env.Setenv("NONESUCH", u.String())
			return nil
		},
		// A server of the tests' own asks for a password.
		Condition: func(name string) (bool, error) {
			if name != "own" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return os.Getenv("PAWL_TEST_POSTGRES") == "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"sql": sql},
	})
}

// sql is a command of scripts.
func sql(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: sql URL STATEMENT")
	}
	ts.Check(execute(args[0], args[1]))
}

// execute runs a statement, or several.
func execute(at, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
