package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/bench/load/cputime"
	"github.com/pawlauth/pawl/bench/load/renewal"
)

func TestMain(m *testing.M) {
	if serveIfAsked() {
		return
	}
	os.Exit(m.Run())
}

// Everything is measured for a moment, so that no part of the program rots. It
// says nothing about speed.
func TestEverySectionRuns(t *testing.T) {
	var out bytes.Buffer
	profiles := t.TempDir()
	err := run([]string{"-seconds", "0.05", "-rounds", "1", "-workers", "4", "-small", "64", "-sessions", "256", "-profile", profiles}, &out)
	if err != nil {
		t.Fatalf("%v; so far it printed:\n%s", err, out.String())
	}
	for _, want := range []string{
		"verify fresh", "golang-jwt v5", "go-jose v4", "lestrrat jwx v3", "scs LoadAndSave", "forged refresh token, engine",
		"Renewal through the engine on SQLite", grouped, singly, bare,
		"Renewal over HTTP on SQLite", "POST /auth/token", "POST /auth/refresh",
		"Renewal by number of sessions", "bytes of database per session", "256 sessions", "GET /auth/sessions",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables lack %q", want)
		}
	}
	if n := strings.Count(out.String(), "### Targets"); n != 6 {
		t.Errorf("%d tables of targets, want 6", n)
	}
	for _, name := range []string{"engine.pprof", "http.pprof", "scale.pprof"} {
		if info, err := os.Stat(profiles + "/" + name); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", name, err)
		}
	}
}

// The same for PostgreSQL, where it is installed.
func TestEverySectionOnPostgreSQLRuns(t *testing.T) {
	var out bytes.Buffer
	profiles := t.TempDir()
	err := run([]string{"-only", sharedAll, "-seconds", "0.5", "-rounds", "1", "-workers", "2", "-small", "64", "-sessions", "256",
		"-soak", "200ms", "-ends", "4", "-profile", profiles}, &out)
	if errors.Is(err, errAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v; so far it printed:\n%s", err, out.String())
	}
	for _, want := range []string{
		"Renewal through the engine on PostgreSQL", "pgbench, one row at a time", "pgbench's best",
		"Renewal over HTTP on PostgreSQL", "one Ed25519 signature", "Latency at half of that rate", "latency of a commit",
		"Renewal by number of nodes", "4 × 2 connections", "that listens", "that only polls",
		"What renewals of 64 sessions leave behind", "dead rows of each session",
		"Renewal on PostgreSQL by number of sessions", "bytes of a session, indexes included", "256 sessions",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables lack %q", want)
		}
	}
	if n := strings.Count(out.String(), "### Targets"); n != 7 {
		t.Errorf("%d tables of targets, want 7", n)
	}
	if info, err := os.Stat(profiles + "/pgengine.pprof"); err != nil || info.Size() == 0 {
		t.Errorf("the profile: %v", err)
	}
}

func TestSectionsAreChosenByName(t *testing.T) {
	for names, want := range map[string]string{
		"": "micro engine http scale", "scale,micro": "micro scale", "pghttp": "pghttp",
		"postgres": "pgengine pghttp pgnodes pgfeed pgsoak pgscale", "postgres,http,pghttp": "http pgengine pghttp pgnodes pgfeed pgsoak pgscale",
	} {
		chosen, err := choose(names)
		var got []string
		for _, s := range chosen {
			got = append(got, s.name)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %s", names, got, err, want)
		}
	}
}

// What a section started is ended, last first, however the section ended.
func TestStageEndsWhatWasBegun(t *testing.T) {
	fault := errors.New("fault")
	for name, c := range map[string]struct {
		play func(testing.TB) error
		want func(error) bool
	}{
		"success": {func(testing.TB) error { return nil }, func(err error) bool { return err == nil }},
		"error":   {func(testing.TB) error { return fault }, func(err error) bool { return errors.Is(err, fault) }},
		"fatal":   {func(t testing.TB) error { t.Fatal("no"); return nil }, func(err error) bool { return err != nil && !errors.Is(err, errAbsent) }},
		"skip":    {func(t testing.TB) error { t.Skip("no"); return nil }, func(err error) bool { return errors.Is(err, errAbsent) }},
	} {
		var order string
		err := onStage(func(t testing.TB) error {
			t.Cleanup(func() { order += "b" })
			t.Cleanup(func() { order += "a" })
			return c.play(t)
		})
		if !c.want(err) || order != "ab" {
			t.Errorf("%s: %v, ended in the order %q", name, err, order)
		}
	}
}

func TestArgumentsThatMeasureNothingAreRefused(t *testing.T) {
	for _, args := range []string{"-seconds 0", "-rounds 0", "-patience -1", "-workers -1", "-small 3 -workers 4", "-sessions 10", "-only everything", "-only micro,", "-soak 0s", "-ends 0", "-nonsense"} {
		if err := run(strings.Fields(args), &bytes.Buffer{}); err == nil {
			t.Errorf("%s was accepted", args)
		}
	}
}

func TestFiguresOfASample(t *testing.T) {
	var took renewal.Histogram
	for _, us := range []time.Duration{3, 10, 1, 2} {
		took.Add(us * time.Microsecond)
	}
	s := sample{ops: 4, wall: 2 * time.Second, cpu: time.Millisecond, stored: 2 * time.Millisecond, mallocs: 6, took: &took}
	for name, pair := range map[string][2]float64{
		"rate":     {s.rate(), 2},
		"wallEach": {s.wallEach(), 5e8},
		"cpu":      {s.cpuMicros(), 250},
		"stored":   {s.storedMicros(), 500},
		"both":     {s.bothMicros(), 750},
		"allocs":   {s.allocs(), 1.5},
		"p50":      {math.Round(100*p50(s)) / 100, 2},
		"p99":      {p99(s), 10},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
}

// A round that is slow on both sides leaves the ratio as it is.
func TestRatiosAreTakenRoundByRound(t *testing.T) {
	got := ratios([]float64{10, 100, 30}, []float64{5, 50, 10})
	if median(got) != 2 || got[2] != 3 {
		t.Errorf("ratios %v", got)
	}
	if m := median([]float64{4, 1, 2, 100}); m != 3 {
		t.Errorf("median of four is %v, want 3", m)
	}
}

func TestTargetsHoldAtTheirBound(t *testing.T) {
	for _, c := range []struct {
		target target
		holds  bool
	}{
		{target{values: []float64{1, 2, 3}, bound: 2}, true},
		{target{values: []float64{1, 2.1, 3}, bound: 2}, false},
		{target{values: []float64{1, 2, 3}, bound: 2, atLeast: true}, true},
		{target{values: []float64{1, 1.9, 3}, bound: 2, atLeast: true}, false},
		{target{values: []float64{math.NaN()}, bound: 2}, false},
	} {
		if c.target.holds() != c.holds {
			t.Errorf("%+v: %v", c.target, c.target.holds())
		}
	}
}

// Every side has its turn in every round, and each round begins with another.
func TestSidesTakeTurns(t *testing.T) {
	var order []string
	name := func(s string) side {
		return side{s, func(time.Duration) (sample, error) { order = append(order, s); return sample{ops: 1}, nil }}
	}
	samples, err := takeTurns(&plan{rounds: 2, each: 1, out: io.Discard}, []side{name("a"), name("b")})
	if err != nil || len(samples) != 2 || len(samples[0]) != 2 || len(samples[1]) != 2 {
		t.Fatalf("%v, %v", samples, err)
	}
	if got := strings.Join(order, ""); got != "abbaab" {
		t.Errorf("order %s, want one round that is not counted and two that are", got)
	}
	idle := side{"idle", func(time.Duration) (sample, error) { return sample{}, nil }}
	if _, err := takeTurns(&plan{rounds: 1, out: io.Discard}, []side{idle}); err == nil {
		t.Error("a side that did nothing was counted")
	}
}

func TestOthersAreAShareOfAllProcessors(t *testing.T) {
	used := cputime.Reading{Machine: 3 * time.Second, Wall: 4 * time.Second, Processes: []cputime.Use{{CPU: 2 * time.Second}}}
	if got, want := shareOfOthers(used), 0.25/float64(runtime.NumCPU()); got != want {
		t.Errorf("others used %v, want %v", got, want)
	}
}

func TestStridesVisitEverySession(t *testing.T) {
	for _, n := range []int{1, 2, 3, 64, 1000, 1618, 4096} {
		seen := make(map[int]bool)
		for r := range n {
			seen[r*strideOf(n)%n] = true
		}
		if len(seen) != n {
			t.Errorf("of %d only %d are visited", n, len(seen))
		}
	}
}

func TestGeneratorReadsAnswers(t *testing.T) {
	for _, c := range []struct {
		answer string
		ok     bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 23\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\n\r\n{\"refresh_token\":\"xyz\"}\n", true},
		{"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", false},
		{"HTTP/1.1 200 OK\r\n\r\n", false},
	} {
		near, far := net.Pipe()
		conn := &connection{Conn: near, read: bufio.NewReader(near), request: []byte("GET")}
		go func() {
			_, _ = far.Read(make([]byte, 3))
			_, _ = far.Write([]byte(c.answer))
			_ = far.Close()
		}()
		err := conn.exchange()
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.answer, err)
		}
		if !c.ok {
			continue
		}
		raw, err := conn.field("refresh_token")
		if err != nil || raw != "xyz" {
			t.Errorf("field %q, %v", raw, err)
		}
		if value, err := cookieOf(conn, "c"); err != nil || value != "d" {
			t.Errorf("cookie %q, %v", value, err)
		}
		if _, err := cookieOf(conn, "e"); err == nil {
			t.Error("a cookie that is not there was found")
		}
	}
}
