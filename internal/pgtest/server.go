//go:build linux || darwin

package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

var errPortTaken = errors.New("the port is taken")

// A server is one PostgreSQL: a folder, and the process that works in it while
// it runs. One goroutine at a time starts and ends it; its addresses may be
// asked for by all, from its first start on.
type server struct {
	installation
	dir      string // holds data, the log and the socket
	port     int    // chosen at the first start, kept
	password string // of the user postgres
	ca       string // file of the authority; empty: no TLS

	process *exec.Cmd
	exited  chan struct{} // closed when process has ended; nil before the first start
}

// newServer makes a server that has no data yet.
func newServer(i installation, disk bool) (*server, error) {
	parent, err := place(disk)
	if err != nil {
		return nil, err
	}
	s := &server{installation: i, dir: filepath.Join(parent, strconv.FormatInt(folder.Add(1), 10))}
	return s, errors.Join(os.Mkdir(s.dir, 0o700), i.own(s.dir))
}

// folder counts the folders of this process.
var folder atomic.Int64

// create makes the data of a new server. What settings say comes after, and
// so before, what every server here has.
func (s *server) create(settings map[string]string, tls bool) error {
	s.password = rand.Text()
	secret := filepath.Join(s.dir, "password")
	if err := s.write(secret, []byte(s.password)); err != nil {
		return err
	}
	err := s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--locale", "C", "-N")
	if err != nil {
		return err
	}
	if tls {
		if err := s.certify(); err != nil {
			return err
		}
	}
	all := map[string]string{
		"listen_addresses":           "127.0.0.1",
		"unix_socket_directories":    "..",   // of the data directory
		"dynamic_shared_memory_type": "mmap", // in the data directory; a killed server would leave it in /dev/shm
		"wal_keep_size":              "256MB",
		"ssl":                        map[bool]string{true: "on", false: "off"}[tls],
	}
	maps.Copy(all, settings)
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		_, errWrite := fmt.Fprintf(conf, "%s = '%s'\n", name, strings.ReplaceAll(all[name], "'", "''"))
		err = errors.Join(err, errWrite)
	}
	return errors.Join(err, conf.Close())
}

// certify gives the server a certificate, where it looks for one.
func (s *server) certify() error {
	made, err := newCertificates()
	s.ca = filepath.Join(s.dir, "ca.crt")
	return errors.Join(err, s.write(s.ca, made.authority),
		s.write(filepath.Join(s.data(), "server.crt"), made.server), s.write(filepath.Join(s.data(), "server.key"), made.key))
}

func (s *server) write(path string, text []byte) error {
	return errors.Join(os.WriteFile(path, text, 0o600), s.own(path))
}

func (s *server) data() string    { return filepath.Join(s.dir, "data") }
func (s *server) logFile() string { return filepath.Join(s.dir, "log") }

// command prepares a program of the installation, run by the server's user.
func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

// run runs a program of the installation to its end, as the server's user.
func (s *server) run(name string, args ...string) error { return finish(s.command(name, args...)) }

func finish(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}

// start starts the server and waits until it answers. Between our choice of a
// port and its use, somebody else may take it.
func (s *server) start() error {
	fresh := s.port == 0
	for attempt := 1; ; attempt++ {
		if fresh {
			var err error
			if s.port, err = freePort(); err != nil {
				return err
			}
		}
		if err := s.launch(); !errors.Is(err, errPortTaken) || attempt == 10 {
			return err
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// launch is one attempt to start.
func (s *server) launch() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	s.process = s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.port))
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	process, exited := s.process, make(chan struct{})
	s.exited = exited
	go func() {
		defer close(exited)
		process.Wait() // how it ended is in the log
	}()
	var refusal error
	err = await(func() bool {
		refusal = s.answers()
		return refusal == nil || s.ended()
	})
	switch {
	case refusal == nil:
		return nil
	case err != nil:
		return errors.Join(fmt.Errorf("PostgreSQL does not answer: %w: %w\n%s", err, refusal, s.logFrom(before)), s.kill())
	case strings.Contains(s.logFrom(before), "could not bind"):
		return errPortTaken
	default:
		return fmt.Errorf("PostgreSQL ended at its start:\n%s", s.logFrom(before))
	}
}

// answers reports why the server does not answer, if it does not.
func (s *server) answers() error {
	_, err := execute(s.url("postgres"), time.Second, "")
	return err
}

// ended reports whether the server has ended, or was never started.
func (s *server) ended() bool {
	if s.exited == nil {
		return true
	}
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// stop ends the server as "fast shutdown" does: clients are sent away, what
// they committed is written.
func (s *server) stop() error {
	if s.ended() {
		return nil
	}
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := await(s.ended); err != nil {
		return fmt.Errorf("stopping PostgreSQL: %w", err)
	}
	return nil
}

// kill ends the server and all its processes at once.
func (s *server) kill() error {
	return errors.Join(kill(s.dir), await(s.ended))
}

// url addresses a database of the server.
func (s *server) url(db string) string {
	q := url.Values{"sslmode": {"disable"}}
	if s.ca != "" {
		q = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.ca}}
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", s.password), Host: s.addr(), Path: "/" + db, RawQuery: q.Encode()}
	return u.String()
}

func (s *server) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// logFrom is what the server has written since offset, at most 8 KiB of it.
func (s *server) logFrom(offset int64) string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	offset = max(offset, int64(len(text))-8<<10)
	return string(text[min(offset, int64(len(text))):])
}

// execute runs SQL, which may be several statements, over a connection of its
// own, and returns the first column of the last row as text.
func execute(at string, within time.Duration, sql string) (value string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	for _, r := range results {
		for _, row := range r.Rows {
			value = string(row[0])
		}
	}
	return value, err
}
