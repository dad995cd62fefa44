package sqlite_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// spent is the processor time of this process.
func spent(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// singly is what to compare with: each change has a transaction of its own.
type singly struct{ *sqlite.Store }

func (s singly) Replace(ctx context.Context, changes []session.Change) []error {
	var errs []error
	for _, c := range changes {
		errs = append(errs, s.Store.Replace(ctx, []session.Change{c})...)
	}
	return errs
}

// BenchmarkRenewal renews through an engine, 64 at once. Its policy is strict,
// so that every renewal turns its session.
func BenchmarkRenewal(b *testing.B) {
	for name, wrap := range map[string]func(*sqlite.Store) session.Store{
		"grouped": func(s *sqlite.Store) session.Store { return s },
		"singly":  func(s *sqlite.Store) session.Store { return singly{s} },
	} {
		b.Run(name, func(b *testing.B) {
			clock := storetest.NewClock()
			store := open(b, newPath(b), clock.Now)
			engine := storetest.NewEngine(b, wrap(store), func(o *session.Options) {
				o.Policy = o.Policy.MakeStrict()
			})
			renew(b, engine, 64, 1000)
		})
	}
}

// renew has workers renew their share of the sessions in turn.
func renew(b *testing.B, engine *session.Engine, workers, sessions int) {
	tokens := make([][]string, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range sessions / workers {
				issued, err := engine.Start(b.Context(), session.Login{
					UserID: "u_ABCDEFGHIJKLMNOPQRSTUVWXYZ", ClientID: "browser", Audience: "https://app.example",
					Scope: "openid", Methods: []string{"pwd"}, Transport: session.Bearer,
					Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
				})
				if err != nil {
					b.Error(err)
					return
				}
				tokens[w] = append(tokens[w], issued.Refresh.Reveal())
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		return
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	before := spent(b)
	b.ResetTimer()
	for w := range workers {
		wg.Go(func() {
			for i := 0; left.Add(-1) >= 0; i++ {
				mine := &tokens[w][i%len(tokens[w])]
				issued, err := engine.Refresh(b.Context(), session.Renewal{Refresh: *mine, Transport: session.Bearer})
				if err != nil {
					b.Error(err)
					return
				}
				*mine = issued.Refresh.Reveal()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(spent(b)-before)/float64(b.N)/1e3, "cpu-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renewals/s")
}
