package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// The way to a database beyond this machine is encrypted and its server
// proved, whatever else was asked for.
//
// Rows: 197
func TestWayToTheDatabaseIsProved(t *testing.T) {
	for _, test := range []struct {
		url   string
		plain bool // refused
	}{
		{"postgres://u:secretword@127.0.0.1/pawl", false},
		{"postgres://u:secretword@[::1]/pawl?sslmode=disable", false},
		{"postgres://u:secretword@localhost/pawl", false},
		{"host=/run/postgresql user=u dbname=pawl", false},
		{"postgres:///pawl?host=/run/postgresql", false},
		{"postgres://u:secretword@db.example.com/pawl", false}, // verify-full is added
		{"host=db.example.com user=u password=secretword", false},
		{"postgres://u:secretword@db.example.com/pawl?sslmode=verify-full", false},
		{"postgres://u:secretword@db.example.com/pawl?sslmode=verify-ca", false},
		{"postgres://u:secretword@db.example.com/pawl?sslmode=require", true},
		{"postgres://u:secretword@db.example.com/pawl?sslmode=prefer", true},
		{"postgres://u:secretword@db.example.com/pawl?sslmode=allow", true},
		{"postgres://u:secretword@db.example.com/pawl?sslmode=disable", true},
		{"host=db.example.com user=u password=secretword sslmode=disable", true},
		{"postgres://u:secretword@127.0.0.1,db.example.com/pawl?sslmode=disable", true},
		{"postgres://u:secretword@192.0.2.7/pawl?sslmode=require", true},
		{"postgres://u:secretword@127.0.0.1.example.com/pawl?sslmode=disable", true},
	} {
		err := postgres.Options{URL: test.url}.Validate()
		if errors.Is(err, postgres.ErrPlain) != test.plain || err != nil && !test.plain {
			t.Errorf("%s: %v; want it refused: %t", test.url, err, test.plain)
		}
		if err := (postgres.Options{URL: test.url, DangerouslyPlain: true}).Validate(); err != nil {
			t.Errorf("%s: %v, although it was asked for", test.url, err)
		}
	}
}

func TestPlainWayOfTheEnvironmentIsRefused(t *testing.T) {
	t.Setenv("PGSSLMODE", "require")
	if err := (postgres.Options{URL: "postgres://u@db.example.com/pawl"}).Validate(); !errors.Is(err, postgres.ErrPlain) {
		t.Errorf("got %v, want ErrPlain", err)
	}
}

func TestUnreadableURLIsNotShown(t *testing.T) {
	for _, url := range []string{"", "postgres://u:secretword@db.example.com:port/pawl", "postgres://u:secretword@%zz/", "secretword", "host=db password='secretword"} {
		err := postgres.Options{URL: url}.Validate()
		if err == nil || strings.Contains(err.Error(), "secretword") {
			t.Errorf("%q: %v; want an error without it", url, err)
		}
	}
}
