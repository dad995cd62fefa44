package sqlite_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// What is copied must not be in use, not even by one who does nothing; and
// nobody begins to use it meanwhile.
//
// Rows: A96
func TestASourceIsNobodyElses(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path, time.Now)
	create(t, s)
	o := sqlite.Options{Path: path, Now: time.Now}
	if _, err := sqlite.OpenSource(t.Context(), o); !errors.Is(err, sqlstore.ErrInUse) {
		t.Fatalf("a file that another one has open: %v", err)
	}
	create(t, s) // who had it goes on
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alone, err := sqlite.OpenSource(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := alone.Size(t.Context(), sqlstore.SessionTable); err != nil || n != 2 {
		t.Errorf("%d sessions, %v; want 2", n, err)
	}
	if page, err := alone.Page(t.Context(), sqlstore.SessionTable, sqlstore.Place{}, 10); err != nil || page.Len() != 2 {
		t.Errorf("a page of %d, %v; want 2", page.Len(), err)
	}
	if err := try(t, path); err == nil {
		t.Error("another one opens it during a copy")
	}
	if err := alone.Close(); err != nil {
		t.Error(err)
	}
	if err := try(t, path); err != nil {
		t.Errorf("after the copy: %v", err)
	}
}
