package renewal

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestChainsAreCarriedOn(t *testing.T) {
	server := newStrictServer(t)
	r := mustRun(t, serve(t, server))
	if r.Rotated == 0 || r.Repeated != 0 || r.Failed() != 0 || r.Unanswered != 0 || len(r.Tokens) != 40 {
		t.Errorf("rotated %d, repeated %d, failures %v, unanswered %d, %d chains left", r.Rotated, r.Repeated, r.Failures, r.Unanswered, len(r.Tokens))
	}
	if r.Took.Count() < r.Rotated || uint64(server.rotated) < r.Rotated || r.Took.Max() > r.Wall {
		t.Errorf("%d durations, the longest %v in %v; the server rotated %d", r.Took.Count(), r.Took.Max(), r.Wall, server.rotated)
	}
	if slices.Min(slices.Collect(maps.Values(server.turns))) == 0 || len(server.turns) != 40 {
		t.Errorf("some chains had no turn: %v", server.turns)
	}
	server.checkSaved(t, r.Tokens)
	if got := r.Processors.Processes[0]; got.Name != "generator" || got.Gone {
		t.Errorf("%+v", got)
	}
}

func TestRepeatsAreCountedApart(t *testing.T) {
	server := newStrictServer(t)
	server.keep = true
	if r := mustRun(t, serve(t, server)); r.Repeated == 0 || r.Rotated != 0 {
		t.Errorf("rotated %d, repeated %d", r.Rotated, r.Repeated)
	}
}

// An answer that does not come, or that cannot be read, is asked for again with
// the same token and key, and the chain goes on.
func TestLostAnswersAreAskedForAgain(t *testing.T) {
	server := newStrictServer(t)
	server.reply = func(w http.ResponseWriter, r *http.Request, n int, body []byte) {
		switch n % 10 {
		case 1:
			panic(http.ErrAbortHandler)
		case 3:
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body[:len(body)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 5: // in chunks
			_, _ = w.Write(body[:len(body)/2])
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(body[len(body)/2:])
		case 7:
			server.lose(r)
			_, _ = w.Write([]byte("it works!"))
		case 9:
			server.lose(r)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\nContent-Length: 0\n\n"))
			_ = conn.Close()
		default:
			_, _ = w.Write(body)
		}
	}
	o := serve(t, server)
	o.Duration = 500 * time.Millisecond
	r := mustRun(t, o)
	if r.Rotated == 0 || len(r.Tokens) != 40 {
		t.Errorf("rotated %d, %d chains left", r.Rotated, len(r.Tokens))
	}
	for _, l := range []loss{lostClosed, lostCut, lostUnreadable} {
		if r.Failures["lost: "+string(l)] == 0 {
			t.Errorf("no answer is counted as lost for %q: %v", l, r.Failures)
		}
	}
	server.checkSaved(t, r.Tokens)
}

func TestRefusedChainsEnd(t *testing.T) {
	server := newStrictServer(t)
	server.refuse = func(w http.ResponseWriter, n int) bool {
		if n <= 200 {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"no"}`))
		return true
	}
	o := serve(t, server)
	o.Duration = time.Hour // it stops when no chain is left
	o.Rate = 100_000
	r := mustRun(t, o)
	if len(r.Tokens) != 0 || server.requests != 240 {
		t.Errorf("%d chains left, %d requests", len(r.Tokens), server.requests)
	}
	if r.Failures["400 invalid_grant"] != 40 || len(r.Failures) != 1 || r.Rotated != 200 {
		t.Errorf("failures %v", r.Failures)
	}
}

// A server that asks to wait is given that time, and the token is good
// afterwards.
func TestChainsWaitAsTheyAreTold(t *testing.T) {
	asked := make(map[string]time.Time)
	server := newStrictServer(t)
	server.refuse = func(w http.ResponseWriter, n int) bool {
		switch n {
		case 1:
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Retry-After", time.Now().Add(7*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"error":"slow_down"}`))
		case 3:
			w.WriteHeader(http.StatusBadGateway)
		default:
			return false
		}
		return true
	}
	var order []string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.PostFormValue("refresh_token")
		if at, again := asked[token]; again {
			order = append(order, fmt.Sprintf("%v", time.Since(at).Truncate(time.Second)))
		}
		asked[token] = time.Now()
		time.Sleep(time.Millisecond)
		server.ServeHTTP(w, r)
	})
	inBubble(t, handler, func(t *testing.T, o Options) {
		o.Workers, o.Duration = 1, 10*time.Second
		r := mustRun(t, o)
		if got := strings.Join(order, " "); got != "0s 3s 7s" && got != "0s 3s 6s" { // a date has no fraction
			t.Errorf("they came again after %s", got)
		}
		for _, kind := range []string{"503", "429 slow_down", "502"} {
			if r.Failures[kind] != 1 {
				t.Errorf("%s is counted %d times", kind, r.Failures[kind])
			}
		}
		if len(r.Tokens) != 40 {
			t.Errorf("%d chains left", len(r.Tokens))
		}
	})
}

// With a rate, a stop of the server is felt by all that were due meanwhile, not
// only by the one that was in flight.
func TestSlowServersAreNotForgiven(t *testing.T) {
	stalling := func() http.Handler {
		var n atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if time.Sleep(time.Millisecond); n.Add(1) == 200 {
				time.Sleep(time.Second)
			}
			_, _ = fmt.Fprintf(w, `{"access_token":"a","refresh_token":"%d"}`, n.Load())
		})
	}
	inBubble(t, stalling(), func(t *testing.T, o Options) {
		o.Workers, o.Rate, o.Duration = 1, 100, 10*time.Second
		r := mustRun(t, o)
		if r.Took.Count() < 999 || r.Took.Count() > 1001 || r.Lag.Max() != 0 {
			t.Errorf("%d were counted, the pacer was up to %v late", r.Took.Count(), r.Lag.Max())
		}
		// A hundred were due in that second, and ten more while those were
		// caught up with; half of them waited half of it.
		if p95, p85 := r.Took.Quantile(0.95), r.Took.Quantile(0.85); p95 < 450*time.Millisecond || p95 > 600*time.Millisecond || p85 > 2*time.Millisecond {
			t.Errorf("p95 %v, p85 %v", p95, p85)
		}
	})
	inBubble(t, stalling(), func(t *testing.T, o Options) {
		o.Workers, o.Duration = 1, 10*time.Second
		if r := mustRun(t, o); r.Took.Quantile(0.99) > 2*time.Millisecond || r.Took.Max() < time.Second {
			t.Errorf("a closed loop: p99 %v, max %v", r.Took.Quantile(0.99), r.Took.Max())
		}
	})
}

func TestWhatWasNeverAnsweredIsCounted(t *testing.T) {
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http watches the connection from then on
		<-r.Context().Done()
	})
	inBubble(t, silent, func(t *testing.T, o Options) {
		o.Workers, o.Rate, o.Duration, o.Timeout = 4, 100, time.Second, 10*time.Second
		r := mustRun(t, o)
		if r.Renewed() != 0 || r.Unanswered < 99 || r.Unanswered > 101 || r.Took.Quantile(0.01) < 9*time.Second {
			t.Errorf("renewed %d, unanswered %d, p1 %v", r.Renewed(), r.Unanswered, r.Took.Quantile(0.01))
		}
		if len(r.Tokens) != 40 {
			t.Errorf("%d chains left", len(r.Tokens))
		}
	})
}

func TestWorkersGoOnToTheNextTarget(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	o := serve(t, newStrictServer(t))
	o.Targets = append(options(t, gone.URL).Targets, o.Targets...)
	if r := mustRun(t, o); r.Rotated == 0 || len(r.Tokens) != 40 {
		t.Errorf("rotated %d, failures %v", r.Rotated, r.Failures)
	}
}

func TestRenewalsOverTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(newStrictServer(t))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(s.Certificate())
	o := options(t, s.URL)
	if r := mustRun(t, o); r.Renewed() != 0 || r.Failures["lost: "+string(lostDial)] == 0 {
		t.Errorf("a certificate that nobody vouches for was accepted: %v", r.Failures)
	}
	target, err := ParseTarget(t.Context(), s.URL, &tls.Config{RootCAs: trusted}, false)
	if err != nil {
		t.Fatal(err)
	}
	o.Targets = []*Target{target}
	if r := mustRun(t, o); r.Rotated == 0 || r.Failed() != 0 {
		t.Errorf("rotated %d, failures %v", r.Rotated, r.Failures)
	}
}

func TestOptionsThatMeanNothingAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no target": func(o *Options) { o.Targets = nil }, "no worker": func(o *Options) { o.Workers = 0 },
		"few sessions": func(o *Options) { o.Workers = 41 }, "no duration": func(o *Options) { o.Duration = 0 },
		"no timeout": func(o *Options) { o.Timeout = 0 }, "rate": func(o *Options) { o.Rate = -1 },
		"warm-up": func(o *Options) { o.WarmUp = -1 }, "twice": func(o *Options) { o.Tokens[3] = o.Tokens[7] },
		"no token": func(o *Options) { o.Tokens[3] = "a\nb" },
	} {
		o := options(t, "http://127.0.0.1:9")
		if spoil(&o); o.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
