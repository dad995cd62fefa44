package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/internal/pgtest"
)

// A clientSite has a page that pawl.js keeps signed in, and time that passes
// when told to: Pawl goes by the clock of its database, which a test moves.
type clientSite struct {
	*site
	db    *pgx.Conn
	ahead time.Duration // that the clock was moved
}

// clientPage is at /page and at whatever is below it. It counts time by a clock
// that a test moves, too: what is in "ahead" has passed.
const clientPage = `<!DOCTYPE html><html lang="en"><head><title>Client</title><link rel="icon" href="data:,"></head><body><main><h1>Client</h1><p id="shown"></p></main>
<script>
	const monotonic = performance.now.bind(performance);
	let ahead = 0, heard = [], cached = false;
	performance.now = () => monotonic() + ahead;
	addEventListener("pageshow", (event) => (cached = event.persisted));
</script>
<script type="module">
	import { createPawl } from "/auth/pawl.js";
	const shown = document.getElementById("shown");
	window.auth = createPawl();
	auth.onChange((change) => {
		heard.push(change);
		if (change === "signed-out" || change === "ended") shown.textContent = "";
	});
	if (window.parent !== window) parent.postMessage((await auth.session())?.user.username ?? "nobody", "*");
	window.ask = async (init) => {
		const answer = await auth.fetch("/api/echo", init);
		return { status: answer.status, body: await answer.text() };
	};
</script></body></html>`

// A clientAnswer is what the page's API said.
type clientAnswer struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

// moved is a clock that is found before the database's own.
const moved = `CREATE SCHEMA moved;
	CREATE TABLE moved.clock (ahead interval NOT NULL);
	INSERT INTO moved.clock VALUES ('0');
	CREATE FUNCTION moved.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS
		$$ SELECT pg_catalog.statement_timestamp() + (SELECT ahead FROM moved.clock) $$;
	CREATE FUNCTION moved.transaction_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS
		$$ SELECT pg_catalog.transaction_timestamp() + (SELECT ahead FROM moved.clock) $$;`

func newClientSite(t *testing.T) *clientSite {
	t.Helper()
	url := pgtest.Database(t)
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(context.WithoutCancel(t.Context())) })
	s := &clientSite{db: db}
	if _, err := db.Exec(t.Context(), moved+fmt.Sprintf(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET search_path = moved, pg_catalog', current_database()); END $$`)); err != nil {
		t.Fatal(err)
	}
	// A test lives through a day of renewals in a minute.
	s.site = newSiteOf(t, appHost, pawl.Options{Store: url, RenewalRate: 10000, RequireCSRFToken: true}, func(p *pawl.Pawl) (http.Handler, error) {
		mux := http.NewServeMux()
		mux.Handle("/auth/", p.Handler())
		mux.Handle("/.well-known/", p.Handler())
		mux.HandleFunc("GET /page/", showClientPage)
		mux.Handle("/api/echo", p.Protect(http.HandlerFunc(echo)))
		mux.Handle("/", p.Protect(http.HandlerFunc(application)))
		return mux, nil
	})
	return s
}

// showClientPage allows everything that a static page allows.
func showClientPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=600")
	fmt.Fprint(w, clientPage)
}

// echo says who asks, and what with.
func echo(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	var sent strings.Builder
	if r.Body != nil {
		fmt.Fprint(&sent, r.ContentLength)
	}
	w.Header().Set("Cache-Control", "no-store")
	json.MarshalWrite(w, map[string]string{"user": caller.UserID, "method": r.Method, "length": sent.String()})
}

// later lets time pass for the server.
func (s *clientSite) later(d time.Duration) {
	s.t.Helper()
	s.ahead += d
	if _, err := s.db.Exec(s.t.Context(), `UPDATE moved.clock SET ahead = make_interval(secs => $1)`, s.ahead.Seconds()); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.db.Exec(s.t.Context(), "NOTIFY pawl_ended"); err != nil { // or the node hears of it a moment later
		s.t.Fatal(err)
	}
	deadline := time.After(patience)
	for s.pawl.Stats().ClockAhead < s.ahead-time.Second {
		select {
		case <-deadline:
			s.t.Fatalf("the node is %v ahead, want %v", s.pawl.Stats().ClockAhead, s.ahead)
		case <-time.After(time.Millisecond):
		}
	}
}

// pass lets time pass for the server and for pages.
func (s *clientSite) pass(d time.Duration, tabs ...*tab) {
	s.t.Helper()
	s.later(d)
	for _, b := range tabs {
		eval[any](b, fmt.Sprintf("void (ahead += %d)", d.Milliseconds()))
	}
}

// asked are the requests to a path so far.
func (s *clientSite) requests(method, path string) []exchange {
	return s.said(func(e exchange) bool { return e.method == method && e.path == path })
}

// live is how many sessions there are that have not ended, and the newest
// generation of any.
func (s *clientSite) live() (sessions, generation int) {
	s.t.Helper()
	err := s.db.QueryRow(s.t.Context(), `SELECT count(*), coalesce(max(generation), 0) FROM pawl.sessions WHERE ended_at IS NULL`).Scan(&sessions, &generation)
	if err != nil {
		s.t.Fatal(err)
	}
	return sessions, generation
}

// client opens the page of the client, once it is there.
func (b *tab) client() *tab {
	b.t.Helper()
	b.open("/page/")
	b.await(`typeof auth === "object"`)
	return b
}

// newClient opens the page in a profile of its own, and signs a user in there.
func (s *clientSite) newClient(t *testing.T, in *browser) *tab {
	t.Helper()
	return s.newClientOf(t, in, "ada")
}

func (s *clientSite) newClientOf(t *testing.T, in *browser, name string) *tab {
	t.Helper()
	b := s.newTab(t, in).client()
	b.login(name, false)
	return b
}

// idOf is the id of a user.
func (s *clientSite) idOf(name string) string {
	s.t.Helper()
	user, err := s.pawl.Accounts().ByName(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(user.ID)
}

// login signs a user in by a form of the page's own.
func (b *tab) login(name string, remember bool) {
	b.t.Helper()
	if got := eval[string](b, fmt.Sprintf(`fetch("/auth/login", { method: "POST", headers: { "Content-Type": "application/json" },
		body: JSON.stringify({ username: %q, password: %q, remember: %v }) }).then(() => %s)`, name, password, remember, whoami)); got != name {
		b.t.Fatalf("signed in as %s: %q", name, got)
	}
}

// whoami is who is signed in for the page: a name, or nobody.
const whoami = `auth.session().then((session) => session?.user.username ?? "nobody")`

// requested has the page ask its API.
func (b *tab) ask(init string) clientAnswer {
	b.t.Helper()
	return eval[clientAnswer](b, "ask("+init+")")
}

func (b *tab) heard() string {
	b.t.Helper()
	return eval[string](b, `heard.join(" ")`)
}

// together has all tabs evaluate at once, and returns what is not as wanted.
func together(tabs []*tab, expression, want string) []string {
	var mu sync.Mutex
	var wrong []string
	var all sync.WaitGroup
	for i, b := range tabs {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			got, err := evaluate[string](ctx, b, expression)
			if err != nil || got != want {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, fmt.Sprintf("tab %d: %q %v", i, got, err))
			}
		})
	}
	all.Wait()
	return wrong
}

// unanswered has what is sent to a path arrive, and its answer get lost, until
// the returned function is called. It counts them.
func (s *clientSite) unanswered(match func(*http.Request) bool) (count func() int, end func()) {
	var mu sync.Mutex
	n, on := 0, true
	s.around(func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			lost := on && match(r)
			if lost {
				n++
			}
			mu.Unlock()
			next(w, r)
			if lost {
				panic(http.ErrAbortHandler)
			}
		}
	})
	return func() int { mu.Lock(); defer mu.Unlock(); return n }, func() { mu.Lock(); defer mu.Unlock(); on = false }
}

func isRenewal(r *http.Request) bool { return r.Method == "POST" && r.URL.Path == "/auth/refresh" }

// refreshTokens counts the different refresh tokens that were ever given.
func (s *clientSite) refreshTokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for token := range s.tokens {
		if strings.HasPrefix(token, "pawl_rt_") {
			n++
		}
	}
	return n
}
