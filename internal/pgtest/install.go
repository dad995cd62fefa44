//go:build linux || darwin

package pgtest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// programs are what a folder must hold to be taken for an installation.
var programs = []string{"initdb", "postgres", "pg_basebackup", "pg_dump", "pg_restore"}

var errNotInstalled = errors.New("PostgreSQL is not installed: apt-get install postgresql")

// An installation is where the programs are and who runs the servers.
type installation struct {
	bin string
	as  *syscall.Credential // nil: whoever runs the tests
}

var findInstallation = sync.OnceValues(func() (installation, error) {
	if runtime.GOOS != "linux" {
		return installation{}, fmt.Errorf("%w (own servers need Linux)", errNotInstalled)
	}
	i := slices.IndexFunc(folders(), complete)
	if i < 0 {
		return installation{}, errNotInstalled
	}
	as, err := ordinaryUser()
	return installation{folders()[i], as}, err
})

// folders are where the programs may be: beside the postgres of PATH, then
// where Debian puts them, newest version first.
func folders() (dirs []string) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // a folder without a number comes last
		return n
	}
	slices.SortFunc(debian, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return append(dirs, debian...)
}

func complete(dir string) bool {
	return !slices.ContainsFunc(programs, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

// ordinaryUser is who runs the servers if root runs the tests.
func ordinaryUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("no ordinary user to run PostgreSQL as: %w", err)
		}
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(errUID, errGID)
}

// own gives a file to the user who runs the servers.
func (i installation) own(path string) error {
	if i.as == nil {
		return nil
	}
	return os.Chown(path, int(i.as.Uid), int(i.as.Gid))
}

// need returns the installation, or ends the test.
func need(t testing.TB) installation {
	t.Helper()
	found, err := findInstallation()
	switch {
	case errors.Is(err, errNotInstalled) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return found
}
