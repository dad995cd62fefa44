package main

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"testing"
	"time"
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

func TestArgumentsThatMeasureNothingAreRefused(t *testing.T) {
	for _, args := range []string{"-seconds 0", "-rounds 0", "-patience -1", "-workers 0", "-small 3 -workers 4", "-sessions 10", "-only everything", "-nonsense"} {
		if err := run(strings.Fields(args), &bytes.Buffer{}); err == nil {
			t.Errorf("%s was accepted", args)
		}
	}
}

func TestFiguresOfASample(t *testing.T) {
	s := sample{ops: 4, wall: 2 * time.Second, cpu: time.Millisecond, mallocs: 6,
		took: []time.Duration{time.Microsecond, 2 * time.Microsecond, 3 * time.Microsecond, 10 * time.Microsecond}}
	for name, pair := range map[string][2]float64{
		"rate":     {s.rate(), 2},
		"wallEach": {s.wallEach(), 5e8},
		"cpu":      {s.cpuMicros(), 250},
		"allocs":   {s.allocs(), 1.5},
		"p50":      {p50(s), 3},
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

func TestLoadIsReadFromProc(t *testing.T) {
	before, err := loadOf("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1\n")
	if err != nil || before != (load{total: 10 * time.Second, others: 2 * time.Second}) {
		t.Errorf("%+v, %v", before, err)
	}
	after := load{total: 14 * time.Second, others: 3 * time.Second}
	if share := after.since(before); share != 0.25 {
		t.Errorf("others used %v, want a quarter", share)
	}
	if share := before.since(before); share != 0 {
		t.Errorf("nothing happened, yet others used %v", share)
	}
	if _, err := loadOf("intr 1 2 3"); err == nil {
		t.Error("another line was accepted")
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

func TestProcessorTimeIsReadFromProc(t *testing.T) {
	stat := "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 6 7 20 0 12 0 100 200 300"
	if got, err := spentOf(stat); err != nil || got != 2*time.Second {
		t.Errorf("%v, %v; want 2s", got, err)
	}
	if _, err := spentOf("7 (a) S 1"); err == nil {
		t.Error("a short line was accepted")
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
