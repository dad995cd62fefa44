//go:build linux || darwin

package pgtest

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for a process.
const patience = 30 * time.Second

var errTooLong = errors.New("it took too long")

// await polls until done says so, at most for [patience].
func await(done func() bool) error {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if done() {
			return nil
		}
		if time.Now().After(end) {
			return errTooLong
		}
	}
}

// guardVariable names, in the environment of a guard, what it guards.
const guardVariable = "PAWL_PGTEST_GUARD"

// A test binary that is started as a guard never gets to its tests. It waits
// until the process that started it has ended, however that came about: then
// the pipe that is its input is closed.
func init() {
	if dir := os.Getenv(guardVariable); dir != "" {
		io.Copy(io.Discard, os.Stdin)
		if err := remove(dir); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// memory is where files never reach a disk.
const memory = "/dev/shm"

// place returns the guarded folder where servers are made. It is in memory if
// there is room and the disk is not asked for: some disks take a second to
// create a server's 900 files, and no fault made here takes away what only the
// kernel has.
func place(disk bool) (string, error) {
	var free syscall.Statfs_t
	if disk || syscall.Statfs(memory, &free) != nil || free.Bavail*uint64(free.Bsize) < 2<<30 {
		return onDisk()
	}
	return inMemory()
}

var (
	inMemory = sync.OnceValues(func() (string, error) { return workshop(memory) })
	onDisk   = sync.OnceValues(func() (string, error) {
		if parent := os.TempDir(); len(parent) <= 60 { // the path of a socket may have 107 bytes
			return workshop(parent)
		}
		return workshop("/tmp")
	})
)

// workshop makes a folder, and a guard for it.
func workshop(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "pawl-pg-")
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // as /proc spells it
		return "", err
	}
	return dir, errors.Join(os.Chmod(dir, 0o711), guard(dir)) // the servers' user may pass
}

// guard starts the guard of a folder.
func guard(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), guardVariable+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what ends our group does not end it
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// Nobody writes to the pipe, and only the end of this process closes it.
	// Who waits for the guard keeps the pipe from the garbage collector.
	go cmd.Wait()
	return nil
}

// remove ends the servers of a folder and removes it, with the shared memory
// that killed servers leave in the kernel.
func remove(dir string) error {
	if err := kill(dir); err != nil {
		return err
	}
	for _, pattern := range []string{"data", "*/data"} {
		dirs, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is well-formed
		for _, data := range dirs {
			if id := segment(data); id != "" {
				exec.Command("ipcrm", "-m", id).Run() // 56 bytes; not worth an error
			}
		}
	}
	return os.RemoveAll(dir)
}

// segment is the id of the shared memory of a server that runs or was killed:
// the second word of the seventh line of postmaster.pid.
func segment(data string) string {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return ""
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return ""
	}
	if words := strings.Fields(lines[6]); len(words) == 2 {
		return words[1]
	}
	return ""
}
