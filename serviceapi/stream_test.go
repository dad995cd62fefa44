package serviceapi_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/serviceapi"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// serve serves the routes with the deadlines of a real server, only shorter.
func (w *world) serve(followers int) *httptest.Server {
	w.t.Helper()
	w.Hurry(30*time.Millisecond, time.Second, followers)
	return serve(w.t, w.API)
}

func serve(t testing.TB, api *serviceapi.API) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(api)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 150*time.Millisecond, 150*time.Millisecond
	server.Config.RegisterOnShutdown(api.EndStreams)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func (w *world) end(id session.ID) {
	w.t.Helper()
	_, err := w.engine.End(context.Background(), session.Selection{Session: id}, session.ReasonOperator, "", session.Origin{})
	w.must(err)
}

func (f *follower) whole() heard {
	f.t.Helper()
	e, more := f.next()
	if !more || e.name != "whole" || e.id == "" {
		f.t.Fatalf("began with %+v, %v", e, more)
	}
	return e
}

func begin(t testing.TB, server *httptest.Server, lastID string) *follower {
	t.Helper()
	f, status := follow(t, server, "revocations-read", lastID)
	if status != 200 {
		t.Fatalf("status %d", status)
	}
	return f
}

// A follower hears of everything, then of what is new, and that nothing is,
// for longer than any other request may take.
//
// Rows: 93, 155
func TestAFollowerHearsOfEveryEnd(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			w := newWorld(t)
			w.Hurry(30*time.Millisecond, time.Second, 10)
			server := httptest.NewUnstartedServer(w)
			server.Config.ReadTimeout, server.Config.WriteTimeout = 150*time.Millisecond, 150*time.Millisecond
			if server.EnableHTTP2 = http2; http2 {
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(server.Close)
			w.hearEverything(t, server)
		})
	}
}

func (w *world) hearEverything(t *testing.T, server *httptest.Server) {
	before, later, alive := w.start(w.ada.ID), w.start(w.ada.ID), w.start(w.ada.ID)
	w.end(before.Row.ID)
	f := begin(t, server, "")
	e := f.whole()
	if !e.tells(before.Row.ID) || e.tells(alive.Row.ID) || e.data.Epoch != 0 || e.data.Keep != int64(keep/time.Second) || e.data.Settle != 75 {
		t.Errorf("whole: %+v", e)
	}
	for range 15 { // three times as long as the server's deadlines
		if e, more := f.next(); !more || e.name != "alive" || e.id == "" {
			t.Fatalf("heard %+v, %v", e, more)
		}
	}
	w.end(later.Row.ID)
	if e := f.until(); e.name != "ended" || !e.tells(later.Row.ID) || len(e.data.Sessions) != 1 || e.data.Epoch != 0 {
		t.Errorf("heard %+v", e)
	}
	epoch, err := w.engine.EndEveryone(t.Context(), session.ReasonEveryone, "", session.Origin{})
	w.must(err)
	if e := f.until(); e.name != "ended" || len(e.data.Sessions) != 0 || time.UnixMicro(e.data.Epoch).Before(epoch) {
		t.Errorf("heard %+v, want the epoch %v", e, epoch)
	}
	if e := begin(t, server, "").whole(); !e.tells(before.Row.ID) || !e.tells(later.Row.ID) || time.UnixMicro(e.data.Epoch).Before(epoch) {
		t.Errorf("whole: %+v", e)
	}
}

// Who comes back hears what was missed, and everything if that cannot be told.
//
// Rows: 93
func TestAFollowerGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	server := w.serve(10)
	first, missed := w.start(w.ada.ID), w.start(w.ada.ID)
	w.end(first.Row.ID)
	f := begin(t, server, "")
	last := f.whole().id
	f.close()
	w.end(missed.Row.ID)
	back := begin(t, server, last)
	e, more := back.next()
	if !more || e.name != "ended" || !e.tells(missed.Row.ID) || e.tells(first.Row.ID) {
		t.Errorf("heard %+v, %v", e, more)
	}
	if e, _ := begin(t, server, e.id).next(); e.name != "alive" {
		t.Errorf("with nothing missed: %+v", e)
	}
	process, _, _ := strings.Cut(last, "-")
	for _, unknown := range []string{process + "-99", process + "--1", process + "-", process, "x-1", "-1", "1", strings.Repeat("x", 1000)} {
		if e := begin(t, server, unknown).whole(); !e.tells(first.Row.ID) || !e.tells(missed.Row.ID) {
			t.Errorf("after %.20q: %+v", unknown, e)
		}
	}
	// Another process of the same node has other places.
	again, err := serviceapi.New(w.Options)
	w.must(err)
	if e := begin(t, serve(t, again), last).whole(); !e.tells(first.Row.ID) || !e.tells(missed.Row.ID) || strings.HasPrefix(e.id, process) {
		t.Errorf("after a restart: %+v", e)
	}
}

// Rows: 93
func TestManyEndsComeInParts(t *testing.T) {
	w := newWorld(t)
	server := w.serve(10)
	const many = 2*serviceapi.MaxIDs + 10
	early := begin(t, server, "")
	start := early.whole()
	ids := map[token.ID]bool{}
	for range many {
		id := token.NewID()
		ids[id] = true
		w.revoked.Add(id, w.clock())
	}
	for name, f := range map[string]*follower{"whole": begin(t, server, ""), "news": early, "resumed": begin(t, server, start.id)} {
		seen, parts := map[token.ID]bool{}, 0
		for len(seen) < many {
			e := f.until()
			if len(e.data.Sessions) > serviceapi.MaxIDs || e.name == "part" && (name != "whole" || e.id != "") {
				t.Fatalf("%s: %s of %d, id %q", name, e.name, len(e.data.Sessions), e.id)
			}
			for _, id := range e.data.Sessions {
				if !ids[id] || seen[id] {
					t.Fatalf("%s: %v comes twice, or from nowhere", name, id)
				}
				seen[id] = true
			}
			parts++
			if name == "whole" && (e.name == "whole") != (len(seen) == many) {
				t.Fatalf("%s is said after %d of %d", e.name, len(seen), many)
			}
		}
		if parts < 3 {
			t.Errorf("%s: in %d parts", name, parts)
		}
	}
}

// A node that does not hear of ended sessions itself tells nobody that there
// are none.
//
// Rows: 94, A96
func TestAStreamEndsWhenTheNodeIsCutOff(t *testing.T) {
	w := newWorld(t)
	server := w.serve(10)
	f := begin(t, server, "")
	f.whole()
	w.advance(time.Second, false)
	for range 10 {
		if _, more := f.next(); !more {
			break
		}
	}
	if _, more := f.next(); more {
		t.Error("the stream goes on")
	}
	if _, status := follow(t, server, "revocations-read", ""); status != 503 {
		t.Errorf("another one: %d", status)
	}
	w.poll()
	begin(t, server, "").whole()

	cold := newWorld(t)
	cold.advance(2*time.Minute, false)
	if got := cold.do("all", "GET", "/v1/revocations", ""); got.Code != 503 || got.Header().Get("Retry-After") == "" {
		t.Errorf("long cut off: %d %v", got.Code, got.Header())
	}
}

// Rows: 155
func TestAStreamEndsWithItsService(t *testing.T) {
	w := newWorld(t)
	server := w.serve(10)
	f := begin(t, server, "")
	f.whole()
	w.must(w.services.RemoveService(t.Context(), "revocations-read"))
	for range 10 {
		if _, more := f.next(); !more {
			return
		}
	}
	t.Error("a service that was removed goes on listening")
}

func TestFollowersAreBounded(t *testing.T) {
	w := newWorld(t)
	server := w.serve(2)
	first := begin(t, server, "")
	first.whole()
	begin(t, server, "").whole()
	if _, status := follow(t, server, "revocations-read", ""); status != 503 {
		t.Errorf("one too many: %d", status)
	}
	first.close()
	w.eventually("the place of one that has gone is free", func() bool { return w.Followers() < 2 })
	begin(t, server, "").whole()
}

// eventually waits until something is so.
func (w *world) eventually(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); {
		if time.Now().After(end) {
			w.t.Fatal(what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAShutdownEndsStreams(t *testing.T) {
	w := newWorld(t)
	server := w.serve(10)
	f := begin(t, server, "")
	f.whole()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w.must(server.Config.Shutdown(ctx))
	for range 10 {
		if _, more := f.next(); !more {
			break
		}
	}
	w.do("all", "GET", "/v1/revocations", "").want(503, "unavailable")
}

// A follower that does not read is given up, and holds nobody up.
func TestASlowFollowerIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.Hurry(time.Hour, 3*time.Second, 10)
	w.pipe(t) // a pipe holds nothing: what is written to it waits to be read, for ever
	quick := bufio.NewReader(w.pipe(t))
	w.eventually("two follow", func() bool { return w.Followers() == 2 })
	for rounds := 0; rounds < 100 || w.Followers() == 2; rounds++ {
		if rounds == 1_000_000 {
			t.Fatal("a follower that does not read stays")
		}
		id := token.NewID()
		w.revoked.Add(id, w.clock())
		for !strings.Contains(readLine(t, quick), id.String()) {
		}
		if rounds > 100 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if n := w.Followers(); n != 1 {
		t.Errorf("%d follow, want the one that reads", n)
	}
}

// pipe returns the connection of a follower that has asked and not read yet.
func (w *world) pipe(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	server := &http.Server{Handler: w}
	go server.Serve(&one{conn: ours, closed: make(chan struct{})})
	t.Cleanup(func() { server.Close(); theirs.Close() })
	if _, err := theirs.Write([]byte("GET /v1/revocations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " +
		base64.StdEncoding.EncodeToString([]byte("revocations-read:revocations-read!")) + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return theirs
}

func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// A one is a listener that accepts one connection, of this machine.
type one struct {
	conn   net.Conn
	taken  bool
	closed chan struct{}
}

func (o *one) Accept() (net.Conn, error) {
	if !o.taken {
		o.taken = true
		return local{o.conn}, nil
	}
	<-o.closed
	return nil, net.ErrClosed
}

func (o *one) Close() error   { close(o.closed); return nil }
func (o *one) Addr() net.Addr { return &net.TCPAddr{} }

type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711} }

// A writer that cannot stream is no follower.
func TestAStreamNeedsItsDeadlines(t *testing.T) {
	w := newWorld(t)
	got := w.do("all", "GET", "/v1/revocations", "")
	if got.Code != http.StatusInternalServerError || got.code() != "internal" {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}
