//go:build linux

package faulttest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// onSmallDisk moves the data of the database to a file system of its own, of so
// many megabytes, and returns where that is.
func (w *world) onSmallDisk(size string) (dir string) {
	w.t.Helper()
	dir = w.cluster.Exec("postgres", "SHOW data_directory")
	w.cluster.Stop()
	kept := dir + ".kept"
	w.must(os.Rename(dir, kept))
	w.must(os.Mkdir(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		if errors.Is(err, syscall.EPERM) && os.Getenv("CI") != "true" {
			w.t.Skip("a file system of limited size needs the right to mount one")
		}
		w.t.Fatalf("mounting a file system of %s (a full disk needs the right to mount one, CAP_SYS_ADMIN): %v", size, err)
	}
	w.t.Cleanup(func() {
		w.cluster.Kill()
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			w.t.Error(err)
		}
	})
	if out, err := exec.Command("cp", "-a", kept+"/.", dir).CombinedOutput(); err != nil {
		w.t.Fatalf("cp: %v\n%s", err, out)
	}
	w.cluster.Start()
	return dir
}

// fill writes a file until nothing fits any more.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(errors.New("the disk is not full"), err)
	}
	return nil
}

// The disk of the database is full: first its tables cannot grow, then its log
// cannot, and it stops. Nothing that was acknowledged is lost, nobody is told
// anything but to come again, and when there is room it all goes on.
//
// Rows: 94, 198, A96
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"max_wal_size": "32MB", "min_wal_size": "32MB", "wal_keep_size": "0"})
	dir := w.onSmallDisk("160m")
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	w.populate(12, 16, 2)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	visitors := w.admit(2, "visitor")
	newcomer := &client{w: w, name: "newcomer"}
	filler := filepath.Join(dir, "filler")
	w.during(func() {
		w.renewals(50)
		w.must(fill(filler))
		// Everybody who comes in wants room.
		for range 8 {
			short, cancel := context.WithTimeout(ctx, 2*time.Second)
			if err := newcomer.signIn(short); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		w.logged("could not extend file")
		// Whoever writes much makes its own log want a new file, without which it
		// cannot go on.
		eventually(t, 30*time.Second, "PostgreSQL has ended", func() bool {
			conn, err := pgx.Connect(ctx, w.store())
			if err != nil {
				return true
			}
			defer conn.Close(ctx)
			_, _ = conn.Exec(ctx, "SELECT pg_logical_emit_message(false, '', repeat('x', 10000000))")
			return false
		})
		w.without(ctx, visitors)
		w.must(os.Remove(filler))
		w.cluster.Kill() // if it has not ended itself
		w.cluster.Start()
		w.renewals(100)
	})
	w.must(newcomer.signIn(ctx))
	w.honest = append(w.honest, append(visitors, newcomer)...)
	w.afterwards()
}

// logged waits until PostgreSQL has logged a text.
func (w *world) logged(text string) {
	w.t.Helper()
	eventually(w.t, 10*time.Second, "PostgreSQL logs "+text, func() bool { return strings.Contains(w.cluster.LogTail(), text) })
}
