package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/bench/load/cputime"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/token"
)

// What the program asks of itself when it starts a server, in its environment.
const (
	envServe   = "PAWL_MEASURE_SERVE" // signing, or the path of a data directory
	envProfile = "PAWL_MEASURE_PROFILE"
	signing    = "sign"
)

// serveIfAsked runs a server instead of the program if the environment says
// so, until standard input ends. The first line it prints is its address.
func serveIfAsked() bool {
	what := os.Getenv(envServe)
	if what == "" {
		return false
	}
	if err := serve(what); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
	return true
}

func serve(what string) (err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler, stop := signOnly(), func() error { return nil }
	if what != signing {
		if handler, stop, err = openPawl(what, listener.Addr().String()); err != nil {
			return err
		}
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Println(listener.Addr())
	if path := os.Getenv(envProfile); path != "" {
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil { // until the parent closes it, or ends
		return err
	}
	err = server.Close()
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, stop())
}

// signOnly is the least that a server of signed tokens does: read the request,
// sign a message as long as an access token's, answer with the signature.
func signOnly() http.Handler {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic("the system gives no key: " + err.Error())
	}
	message := make([]byte, 400)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write(token.AppendBase64URL(nil, ed25519.Sign(key, message)))
	})
}

// openPawl is the whole of Pawl as a program embeds it, events stored and
// logged.
func openPawl(dir, address string) (http.Handler, func() error, error) {
	policy, err := strict()
	if err != nil {
		return nil, nil, err
	}
	p, err := pawl.Open(context.Background(), pawl.Options{Data: dir, Origins: []string{"http://" + address},
		Audience: audience, Policy: policy, Clients: []httpapi.Client{{ID: appClient, Scope: "profile orders:read"}},
		Log: slog.New(slog.NewJSONHandler(nothing{}, nil))})
	if err != nil {
		return nil, nil, err
	}
	return p.Handler(), p.Close, nil
}

// A server is another process that serves.
type server struct {
	address string
	process *exec.Cmd
	stdin   io.Closer
}

// startServer runs this program again as a server of the given kind. Stop it.
func startServer(what, profile string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{process: exec.Command(self)}
	s.process.Env = append(os.Environ(), envServe+"="+what, envProfile+"="+profile)
	s.process.Stderr = os.Stderr
	if s.stdin, err = s.process.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server said no address: %w", err), s.stop())
	}
	s.address = strings.TrimSpace(line)
	return s, nil
}

// stop lets the server end by itself and waits for that.
func (s *server) stop() error {
	return errors.Join(s.stdin.Close(), s.process.Wait())
}

// counted is the server's process, for a meter.
func (s *server) counted() cputime.Process {
	return cputime.Process{Name: "server", PID: s.process.Process.Pid, Alone: true}
}
