package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pawlauth/pawl/bench/load/cputime"
	"github.com/pawlauth/pawl/bench/load/renewal"
)

// maxInput bounds a line of the files that are read.
const maxInput = 16 << 10

// settings are the flags of a run.
type settings struct {
	renewal.Options
	urls, form, headers, pids  list
	client, host, ca           string
	tokens, save, login, users string
	sessions                   int
	remote, json               bool
}

// A list is a flag that may come several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func (s *settings) parse(args []string, notes io.Writer) error {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(notes)
	f.Var(&s.urls, "url", "`URL` of the token endpoint; several share the workers, and take over from one another")
	f.StringVar(&s.client, "client", "", "client_id, and its `ID`; empty: none is sent")
	f.Var(&s.form, "form", "further parameter, as `name=value`; may come several times")
	f.Var(&s.headers, "header", "further header field, as `Name: value`; may come several times")
	f.StringVar(&s.host, "host", "", "`name` in the Host field, if it is not the URL's")
	f.BoolVar(&s.Request.JSON, "json-body", false, "send a JSON object instead of a form")
	f.BoolVar(&s.Request.Idempotency, "idempotency-key", false, "send an Idempotency-Key, the same until tokens come")
	f.IntVar(&s.Workers, "c", 64, "`number` of requests in flight at most, each on a connection of its own")
	f.Float64Var(&s.Rate, "rate", 0, "renewals begun per second, whatever becomes of them; 0: as fast as they are answered")
	f.DurationVar(&s.Duration, "duration", 10*time.Second, "`time` that counts")
	f.DurationVar(&s.WarmUp, "warmup", 2*time.Second, "`time` before that")
	f.DurationVar(&s.Timeout, "timeout", 15*time.Second, "`time` for one answer")
	f.Var(&s.pids, "pid", "process whose CPU time is told, children included, as `name=PID`; may come several times")
	f.StringVar(&s.tokens, "tokens", "", "`file` of first refresh tokens, one a line; -: standard input")
	f.StringVar(&s.save, "save", "", "`file` for the newest tokens at the end; may be that of -tokens")
	f.StringVar(&s.login, "pawl-login", "", "`URL` of Pawl's POST /auth/login, where sessions begin instead")
	f.StringVar(&s.users, "users", "", "with -pawl-login: `file` of users, username:password a line; -: standard input")
	f.IntVar(&s.sessions, "sessions", 1000, "with -pawl-login: `number` of sessions, spread over the users")
	f.StringVar(&s.ca, "ca", "", "`file` of certificates to trust, in PEM; empty: those of the system")
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.BoolVar(&s.remote, "dangerously-remote", false, "allow targets on other machines: only your own, which nobody else needs")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("%q is no flag", f.Arg(0))
	case len(s.urls) == 0:
		return errors.New("say where to with -url")
	case (s.tokens == "") == (s.login == ""):
		return errors.New("say where first tokens come from: either -tokens or -pawl-login")
	case (s.login == "") != (s.users == ""):
		return errors.New("-pawl-login and -users go together")
	}
	return nil
}

// fill makes options of the flags.
func (s *settings) fill(ctx context.Context) error {
	for _, raw := range s.urls {
		t, err := s.target(ctx, raw)
		if err != nil {
			return err
		}
		s.Targets = append(s.Targets, t)
	}
	if s.client != "" {
		s.Request.Parameters = append(s.Request.Parameters, [2]string{"client_id", s.client})
	}
	for _, raw := range s.form {
		name, value, ok := strings.Cut(raw, "=")
		if !ok || name == "" || name == "grant_type" || name == "refresh_token" {
			return fmt.Errorf("-form %q is no name=value that may be added", raw)
		}
		s.Request.Parameters = append(s.Request.Parameters, [2]string{name, value})
	}
	for _, line := range s.headers {
		field, err := renewal.ParseHeader(line)
		if err != nil {
			return err
		}
		s.Request.Fields += field
	}
	for _, raw := range s.pids {
		name, number, _ := strings.Cut(raw, "=")
		pid, err := strconv.Atoi(number)
		if err != nil || pid < 1 || name == "" {
			return fmt.Errorf("-pid %q is no name=PID", raw)
		}
		s.Processes = append(s.Processes, cputime.Process{Name: name, PID: pid})
	}
	return nil
}

func (s *settings) target(ctx context.Context, raw string) (*renewal.Target, error) {
	config := &tls.Config{}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		if err != nil {
			return nil, err
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", s.ca)
		}
	}
	t, err := renewal.ParseTarget(ctx, raw, config, s.remote)
	if errors.Is(err, renewal.ErrRemote) {
		err = fmt.Errorf("%w; if it is one, say -dangerously-remote", err)
	}
	if err == nil && s.host != "" {
		t.Host = s.host
	}
	return t, err
}

// begin gets the first tokens.
func (s *settings) begin(ctx context.Context, in io.Reader) (err error) {
	if s.login == "" {
		s.Tokens, err = readLines(s.tokens, in)
		return err
	}
	t, err := s.target(ctx, s.login)
	if err != nil {
		return err
	}
	lines, err := readLines(s.users, in)
	if err != nil {
		return err
	}
	var users []renewal.Credential
	for n, line := range lines {
		name, password, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("line %d of -users is no username:password", n+1)
		}
		users = append(users, renewal.Credential{Username: name, Password: password})
	}
	s.Tokens, err = renewal.SignIn(ctx, t, s.Request.Fields, s.client, users, s.sessions, s.Timeout)
	return err
}

func readLines(path string, in io.Reader) (lines []string, err error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxInput)
	for scanner.Scan() {
		if line := scanner.Text(); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, scanner.Err()
}

// writeLines replaces the file at once, so that tokens are not lost half way.
func writeLines(path string, lines []string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".load-*") // readable by its owner only
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	for _, line := range lines {
		_, _ = out.WriteString(line + "\n") // Flush tells
	}
	if err := errors.Join(out.Flush(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), path)
}

func renew(ctx context.Context, args []string, in io.Reader, out, notes io.Writer) error {
	var s settings
	if err := s.parse(args, notes); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx, in); err != nil {
		return err
	}
	result, err := renewal.Run(ctx, s.Options)
	if err != nil {
		return err
	}
	if s.save != "" {
		err = writeLines(s.save, result.Tokens)
	}
	if s.json {
		err = errors.Join(err, printJSON(out, result))
	} else {
		err = errors.Join(err, printReport(out, result))
	}
	if result.Renewed() == 0 {
		err = errors.Join(err, errNothing)
	}
	return err
}
