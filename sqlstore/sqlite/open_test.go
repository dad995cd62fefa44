package sqlite_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// try opens a database that may be refused.
func try(t *testing.T, path string) error {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now})
	if err == nil {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	return err
}

// hash stands for the content of a file.
func hash(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}

func TestOpenRequiresPathAndClock(t *testing.T) {
	for _, o := range []sqlite.Options{{}, {Path: newPath(t)}, {Now: time.Now}, {Path: newPath(t), Now: time.Now, MaxQueue: -1}} {
		if s, err := sqlite.Open(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("opened with %+v", o)
		}
	}
}

func TestOpenNamesAMissingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	if err := try(t, filepath.Join(dir, "pawl.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	file := newPath(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := try(t, filepath.Join(file, "pawl.db")); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a file for a directory: got %v, want fs.ErrInvalid", err)
	}
	if err := try(t, t.TempDir()); !errors.Is(err, sqlstore.ErrForeign) {
		t.Errorf("a directory for a file: got %v, want ErrForeign", err)
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	text := newPath(t)
	if err := os.WriteFile(text, []byte("Dear diary, this is no database, however long it may be made to look."), 0o600); err != nil {
		t.Fatal(err)
	}
	other := newPath(t)
	run(t, raw(t, other), "CREATE TABLE recipes (name TEXT)")
	for _, path := range []string{text, other} {
		before := hash(t, path)
		if err := try(t, path); !errors.Is(err, sqlstore.ErrForeign) {
			t.Errorf("got %v, want ErrForeign", err)
		}
		if hash(t, path) != before {
			t.Error("the file was changed")
		}
	}
}

func TestOpenRefusesADamagedDatabase(t *testing.T) {
	path := newPath(t)
	create(t, open(t, path, time.Now))
	closed(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Everything after the header of the first page, which holds the schema.
	for i := 100; i < len(content); i++ {
		content[i] = 0xA5
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := try(t, path); !errors.Is(err, sqlstore.ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

// closed makes sure that everything is in the one file: a copy of a store that
// is open is made by its own means.
func closed(t *testing.T, path string) {
	t.Helper()
	db := raw(t, path)
	run(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesANewerVersionAndChangesNothing(t *testing.T) {
	path := newPath(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	run(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)", sqlite.SchemaVersion+1)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := hash(t, path)
	if err := try(t, path); !errors.Is(err, sqlstore.ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
	if hash(t, path) != before {
		t.Error("the file was changed")
	}
}

func TestOnlyTheOwnerCanReadTheFiles(t *testing.T) {
	path := newPath(t)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, filepath.Join(filepath.Dir(path), "new.db")} {
		create(t, open(t, file, time.Now))
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(file + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, want 0600", info.Name(), info.Mode().Perm())
			}
		}
	}
}

func TestPathMayHaveEveryCharacter(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b.db", "what?mode=memory", "100%25.db", "#1", "é&_pragma=foo", "file:x", `back\slash`, "semi;colon'quote\""} {
		path := filepath.Join(dir, name)
		create(t, open(t, path, time.Now))
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
			t.Errorf("%q: the data is not there: %v", name, err)
		}
	}
}

func TestPathMayBeRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	create(t, open(t, "pawl.db", time.Now))
	if _, err := os.Stat("pawl.db-wal"); err != nil {
		t.Error(err)
	}
}

func TestOpenManyAtOnceMakesOneDatabase(t *testing.T) {
	for range 5 {
		path := newPath(t)
		var wg sync.WaitGroup
		stores := make([]*sqlite.Store, 8)
		for i := range stores {
			wg.Go(func() { stores[i], _ = sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now}) })
		}
		wg.Wait()
		for i, s := range stores {
			if s == nil {
				t.Fatalf("store %d was not opened", i)
			}
			defer s.Close()
			create(t, s)
		}
		if report := sound(t, stores[0]); report.Sessions != len(stores) {
			t.Errorf("%d sessions, want %d", report.Sessions, len(stores))
		}
	}
}

// A migration that fails undoes those before it, too.
func TestUpgradeIsAllOrNothing(t *testing.T) {
	path := newPath(t)
	migrations := fstest.MapFS{
		"00001_good.sql": {Data: []byte("-- +goose Up\nPRAGMA application_id = 0x5061776c;\nCREATE TABLE good (n INTEGER);\n")},
		"00002_bad.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE half (n INTEGER);\nINSERT INTO nowhere VALUES (1);\n")},
	}
	if err := sqlite.UpgradeWith(t.Context(), path, migrations); err == nil {
		t.Fatal("a migration that cannot be applied was")
	}
	var objects int
	if err := raw(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema").Scan(&objects); err != nil || objects != 0 {
		t.Errorf("%d objects are left, %v", objects, err)
	}
	// The file is as good as new.
	create(t, open(t, path, time.Now))
}

func TestUpgradeOfTwoAtOnceIsDoneOnce(t *testing.T) {
	path := newPath(t)
	migrations := fstest.MapFS{"00001_first.sql": {Data: []byte(
		"-- +goose Up\nPRAGMA application_id = 0x5061776c;\nCREATE TABLE runs (n INTEGER);\nINSERT INTO runs VALUES (1);\n")}}
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() { errs[i] = sqlite.UpgradeWith(t.Context(), path, migrations) })
	}
	wg.Wait()
	var runs int
	err := raw(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM runs").Scan(&runs)
	if err = errors.Join(append(errs, err)...); err != nil || runs != 1 {
		t.Errorf("the migration ran %d times, %v", runs, err)
	}
}
