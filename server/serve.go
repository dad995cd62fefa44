package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"crypto/rand"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/server/devapp"
	"github.com/pawlauth/pawl/session"
)

// Bounds of the listeners. A request must reach its decision and an answer its
// client within 15 s each (package session counts on it), and nobody may hold
// a connection for free.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10 // a browser may carry many foreign cookies
)

// NewLogger returns the logger of the server: text or JSON, one line an
// entry, whatever a client put into it.
func NewLogger(w io.Writer, format string) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// Run serves until the context ends, and then lets requests in flight finish.
// What a person should see goes to out, the log to logTo.
func Run(ctx context.Context, c Config, out, logTo io.Writer) error {
	plan, err := c.Plan()
	if err != nil {
		return err
	}
	log := NewLogger(logTo, plan.logFormat)
	plan.warn(log)
	public, operations, err := plan.open()
	if err != nil {
		return err
	}
	defer public.Close()
	defer operations.Close()
	m := newMetrics()
	plan.options.Log, plan.options.Observe = log, m.observe
	tape := &devapp.Tape{}
	if plan.dev {
		plan.options.Observe = func(e session.Event) { m.observe(e); tape.Observe(e) }
	}
	p, err := pawl.Open(ctx, plan.options)
	if err != nil {
		return err
	}
	defer func() {
		if err := p.Close(); err != nil {
			log.Error("close", "error", err)
		}
	}()
	m.watch(p)
	site := p.Handler()
	if plan.dev {
		if err := addDemoUser(ctx, p, plan.options.Data, out); err != nil {
			return err
		}
		if site, err = devapp.New(devapp.Options{Pawl: p, Prefix: plan.options.Prefix, Tape: tape}); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "pawl serves %s on %s, operations on %s\n", plan.options.Origins[0], public.Addr(), operations.Addr())
	forOperator := newServer(operationsHandler(p, m), log, plan.opsTLS)
	forOperator.RegisterOnShutdown(p.EndStreams)
	return serveAll(ctx, log, served{newServer(m.measure(site), log, plan.tls), public}, served{forOperator, operations})
}

// open takes the addresses, before any data is made.
func (p Plan) open() (public, operations net.Listener, err error) {
	if public, err = net.Listen("tcp", p.listen); err != nil {
		return nil, nil, fmt.Errorf("--listen: %w", err)
	}
	if operations, err = net.Listen("tcp", p.opsListen); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("--ops-listen: %w", err), public.Close())
	}
	return public, operations, nil
}

// addDemoUser makes the user "demo" of a development server and shows its
// password, once: only its hash is kept.
func addDemoUser(ctx context.Context, p *pawl.Pawl, data string, out io.Writer) error {
	password := rand.Text()
	_, err := p.Accounts().Add(ctx, devapp.User, account.NewPassword(password))
	switch {
	case errors.Is(err, account.ErrNameTaken):
		fmt.Fprintf(out, "user: demo, with the password that was printed when %s was made\n", data)
		return nil
	case err != nil:
		return fmt.Errorf("add user demo: %w", err)
	}
	fmt.Fprintf(out, "user: demo\npassword: %s\n", password)
	return nil
}

// operationsHandler is for the operator and for services; it listens on
// loopback unless configured otherwise.
func operationsHandler(p *pawl.Pawl, m *metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	// Ready is who accepts tokens: that outlasts the store by Options.Stale.
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !p.Stats().Ready {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the revocations cannot be read", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n")
	})
	mux.Handle("GET /metrics", m.handler())
	services := p.ServiceAPI()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/"):
			services.ServeHTTP(w, r)
		// The mux would redirect what it tidies up, and the credentials of a
		// service would follow.
		case r.URL.Path != path.Clean(r.URL.Path):
			http.NotFound(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

func newServer(h http.Handler, log *slog.Logger, secured *tls.Config) *http.Server {
	return &http.Server{
		Handler: h, TLSConfig: secured,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is answered like any other request
		// What is wrong with a connection is not worth a line for everybody who
		// can open one, and names a client's address.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// served is a server and the listener it serves.
type served struct {
	server   *http.Server
	listener net.Listener
}

// serveAll serves until the context ends or one server fails, and then stops
// all of them.
func serveAll(ctx context.Context, log *slog.Logger, all ...served) error {
	failed := make(chan error, len(all))
	for _, s := range all {
		go func() {
			if s.server.TLSConfig != nil {
				failed <- s.server.ServeTLS(s.listener, "", "")
				return
			}
			failed <- s.server.Serve(s.listener)
		}()
	}
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		log.Info("stopping", "at_most", drainTime)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	// Together: what hangs on one listener keeps no stream on another one open.
	stopped := make(chan error, len(all))
	for _, s := range all {
		go func() {
			stop := s.server.Shutdown(drain)
			if stop != nil {
				stop = errors.Join(stop, s.server.Close())
			}
			stopped <- stop
		}()
	}
	for range all {
		err = errors.Join(err, <-stopped)
	}
	return err
}
