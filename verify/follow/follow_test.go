package follow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
	"github.com/pawlauth/pawl/verify/follow"
)

func TestOptionsReportEveryFault(t *testing.T) {
	good := follow.Options{Issuer: "https://login.example", Audience: audience, Service: "https://pawl.internal:9443/ops",
		Credential: follow.Credential{Name: name, Secret: secret}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*follow.Options){
		"no issuer":                    func(o *follow.Options) { o.Issuer = "" },
		"an issuer without https":      func(o *follow.Options) { o.Issuer = "http://login.example" },
		"an issuer of another scheme":  func(o *follow.Options) { o.Issuer = "ftp://localhost" },
		"an issuer with a path":        func(o *follow.Options) { o.Issuer = "https://login.example/a" },
		"an issuer with a slash":       func(o *follow.Options) { o.Issuer = "https://login.example/" },
		"an issuer with a query":       func(o *follow.Options) { o.Issuer = "https://login.example?a" },
		"an issuer in capitals":        func(o *follow.Options) { o.Issuer = "HTTPS://login.example" },
		"an issuer without host":       func(o *follow.Options) { o.Issuer = "https://:443" },
		"like loopback":                func(o *follow.Options) { o.Issuer = "http://localhost.example" },
		"no service":                   func(o *follow.Options) { o.Service = "" },
		"a service without https":      func(o *follow.Options) { o.Service = "http://10.0.0.1:9443" },
		"a service with a slash":       func(o *follow.Options) { o.Service += "/" },
		"a service with a user":        func(o *follow.Options) { o.Service = "https://a:b@pawl.internal" },
		"a service with a fragment":    func(o *follow.Options) { o.Service += "#a" },
		"no audience":                  func(o *follow.Options) { o.Audience = "" },
		"no name":                      func(o *follow.Options) { o.Credential.Name = "" },
		"a name with a colon":          func(o *follow.Options) { o.Credential.Name = "a:b" },
		"no secret":                    func(o *follow.Options) { o.Credential.Secret = "" },
		"a secret with its line's end": func(o *follow.Options) { o.Credential.Secret = secret + "\n" },
		"a negative leeway":            func(o *follow.Options) { o.Leeway = -1 },
		"a leeway that is too long":    func(o *follow.Options) { o.Leeway = follow.MaxLeeway + 1 },
		"a negative cache":             func(o *follow.Options) { o.CacheSize = -1 },
		"a cache that is too large":    func(o *follow.Options) { o.CacheSize = verify.MaxCacheSize + 1 },
		"a bound that is too short":    func(o *follow.Options) { o.Stale = follow.MinStale - 1 },
		"a bound that is too long":     func(o *follow.Options) { o.Stale = follow.MaxStale + 1 },
		"a bound that is negative":     func(o *follow.Options) { o.Stale = -1 },
		"keys whose bound is short":    func(o *follow.Options) { o.KeysStale = follow.MinKeysStale - 1 },
		"keys whose bound is long":     func(o *follow.Options) { o.KeysStale = follow.MaxKeysStale + 1 },
	} {
		o := good
		change(&o)
		f, err := follow.Open(t.Context(), o)
		if err == nil || f != nil {
			t.Errorf("%s: opened", what)
		} else if text := err.Error(); strings.Contains(text, "very-secret") || strings.Contains(text, "a:b@") {
			t.Errorf("%s: the error shows a secret: %s", what, text)
		}
	}
	_, err := follow.Open(t.Context(), follow.Options{})
	var joined interface{ Unwrap() []error }
	if !errors.As(errors.Unwrap(err), &joined) || len(joined.Unwrap()) != 5 {
		t.Errorf("nothing given: %v", err)
	}
}

// However an option or a follower is printed, the secret is not.
func TestSecretIsNotPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		synctest.Wait()
		text := fmt.Sprintf("%v %+v %#v", f, f, f) + fmt.Sprintf("%v %+v %#v", w.options(), w.options(), w.options().Credential)
		slog.New(slog.NewJSONHandler(w.log, nil)).Info("x", "options", w.options().Credential, "f", f)
		w.feed.set(func(f *fakeFeed) { f.status = http.StatusForbidden })
		w.api.cut(false)
		time.Sleep(10 * time.Second)
		if text += w.log.String(); strings.Contains(text, "very-secret") || !strings.Contains(text, "[redacted]") {
			t.Error("the secret is in what was printed")
		}
	})
}

// Tokens are refused as by a fault of the service until everything was told;
// then they are judged by what is told.
//
// Rows: 93, 94
func TestFollowerIsReadyAfterTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		early, late, other := token.NewID(), token.NewID(), token.NewID()
		w.feed.end(early)
		w.api.cut(true)
		f := w.open()
		time.Sleep(3 * time.Second)
		judge(t, f, "before the whole", w.issue(other), verify.ErrStale)
		if f.Ready() || f.Age() < 3*time.Second || f.Stats().Revoked != 0 {
			t.Errorf("ready before the whole: %+v", f.Stats())
		}
		w.api.cut(false)
		time.Sleep(5 * time.Second)
		judge(t, f, "after the whole", w.issue(other), nil)
		judge(t, f, "ended before", w.issue(early), verify.ErrRevoked)
		judge(t, f, "not ended yet", w.issue(late), nil)
		if !f.Ready() || f.Age() > 5*time.Second {
			t.Errorf("not ready after the whole: %+v", f.Stats())
		}
		w.feed.end(late)
		synctest.Wait() // no time passes
		judge(t, f, "ended now", w.issue(late), verify.ErrRevoked)
		if s := f.Stats(); s.Revoked != 2 || s.Keys != 1 || !s.Ready || s.Connects == 0 || s.KeyReads != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// An epoch ends what was issued until then, and nothing later.
//
// Rows: 93
func TestFollowerHearsOfTheEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		before := w.issue(token.NewID())
		synctest.Wait()
		judge(t, f, "before", before, nil)
		w.feed.set(func(f *fakeFeed) { f.epoch = time.Now() })
		synctest.Wait()
		judge(t, f, "issued before", before, verify.ErrRevoked)
		time.Sleep(time.Second)
		judge(t, f, "issued after", w.issue(token.NewID()), nil)
		// Told with the whole, too.
		other := w.open()
		synctest.Wait()
		judge(t, other, "issued before", before, verify.ErrRevoked)
	})
}

// Rows: 94
func TestFollowerGrowsStaleAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open(func(o *follow.Options) { o.Stale = time.Minute })
		synctest.Wait()
		w.api.cut(true)
		time.Sleep(59 * time.Second)
		judge(t, f, "within the bound", w.issue(token.NewID()), nil)
		time.Sleep(2 * time.Second)
		judge(t, f, "past the bound", w.issue(token.NewID()), verify.ErrStale)
		if f.Ready() {
			t.Error("ready although stale")
		}
		ended := token.NewID()
		w.feed.end(ended)
		w.api.cut(false)
		time.Sleep(5 * time.Second)
		judge(t, f, "recovered", w.issue(token.NewID()), nil)
		judge(t, f, "ended in between", w.issue(ended), verify.ErrRevoked)
		// A node that answers, but whose own feed is stale, is no better.
		w.feed.set(func(f *fakeFeed) { f.quiet = true; f.status = http.StatusServiceUnavailable })
		time.Sleep(80 * time.Second)
		judge(t, f, "nothing alive", w.issue(token.NewID()), verify.ErrStale)
		w.feed.set(func(f *fakeFeed) { f.quiet, f.status = false, 0 })
		time.Sleep(11 * time.Second) // the next attempt, and a sign of life
		judge(t, f, "alive again", w.issue(token.NewID()), nil)
		if log := w.log.String(); strings.Count(log, "works again") != 2 || strings.Count(log, "level=ERROR") > 6 {
			t.Errorf("the log says\n%s", log)
		}
	})
}

// Whoever asked for it goes on without the feed, but not without signatures,
// and not with what is known to have ended.
//
// Rows: 94
func TestDangerouslyAcceptStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.api.cut(true)
		f := w.open(func(o *follow.Options) { o.DangerouslyAcceptStale = true })
		ended := token.NewID()
		judge(t, f, "never heard", w.issue(ended), nil)
		if !f.Ready() {
			t.Error("not ready")
		}
		w.feed.end(ended)
		w.api.cut(false)
		time.Sleep(5 * time.Second)
		w.api.cut(true)
		time.Sleep(2 * time.Minute)
		judge(t, f, "ended", w.issue(ended), verify.ErrRevoked)
		judge(t, f, "stale", w.issue(token.NewID()), nil)
		raw := w.issue(token.NewID())
		judge(t, f, "forged", raw[:len(raw)-8]+"AAAAAAAA", verify.ErrSignature)
	})
}

// Without keys every good token would be refused as unknown, so there is no
// follower before there are keys.
func TestOpenWaitsForTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.issuer.cut(true)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if f, err := follow.Open(ctx, w.options()); !errors.Is(err, context.DeadlineExceeded) || f != nil {
			t.Errorf("opened without keys: %v", err)
		}
		go func() {
			time.Sleep(20 * time.Second)
			w.issuer.cut(false)
		}()
		began := time.Now()
		f := w.open()
		if took := time.Since(began); took < 20*time.Second || took > 26*time.Second {
			t.Errorf("opened after %v", took)
		}
		synctest.Wait()
		judge(t, f, "open", w.issue(token.NewID()), nil)
	})
}

// Close ends every goroutine, which the bubble would otherwise complain of,
// and the follower then refuses.
func TestCloseStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		synctest.Wait()
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Error(err)
		}
		keys, feed := w.issuer.count(), w.api.count()
		time.Sleep(10 * time.Minute)
		if w.issuer.count() != keys || w.api.count() != feed {
			t.Error("goes on after Close")
		}
		judge(t, f, "closed", w.issue(token.NewID()), verify.ErrStale)
	})
}

// A program without a database does not get one with this package.
func TestFollowNeedsNoDatabase(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 100 {
		t.Fatalf("only %d dependencies", len(deps))
	}
	for _, dep := range deps {
		for _, forbidden := range []string{"database/sql", "github.com/jackc/", "modernc.org/", "github.com/pressly/", "github.com/pawlauth/pawl/sqlstore", "github.com/prometheus/"} {
			if strings.HasPrefix(dep, forbidden) {
				t.Errorf("depends on %s", dep)
			}
		}
	}
}
