package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pawlauth/pawl/bench/load/renewal"
	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
)

// askAgain is how long a node rests between two questions, so that questions
// leave most of the processors to the answer.
const askAgain = 2 * time.Millisecond

// asking keeps a connection for each who asks.
var asking = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 15 * time.Second}

// A watch is how long a node took to refuse what another had ended.
type watch struct {
	*node
	took renewal.Histogram
}

// pgFeed ends sessions on one node, and asks two others, one that listens and
// one that cannot, until they refuse the access token.
func pgFeed(ctx context.Context, p *plan) error {
	s, err := newShared(p, nil)
	if err != nil {
		return err
	}
	h, err := newSharedHerd(ctx, p, s, "feed", max(p.small, p.ends), p.ends)
	if err != nil {
		return err
	}
	first, err := p.startNode(ctx, "ends", h.place)
	if err != nil {
		return err
	}
	listens, err := p.startNode(ctx, "listens", h.place)
	if err != nil {
		return err
	}
	place := h.place
	place.Store = deafened(p, s, place.Store)
	polls, err := p.startNode(ctx, "polls", place)
	if err != nil {
		return err
	}
	if err := s.listeners(2); err != nil {
		return err
	}
	e, err := h.engine(h.data.Store, func(session.Event) {})
	if err != nil {
		return err
	}
	watches := []*watch{{node: listens}, {node: polls}}
	var mu sync.Mutex // of the histograms
	if err := p.alone(fmt.Sprintf("%d ends", p.ends), func() error {
		return inParallel(min(p.workers, p.ends), p.ends, func(i int) error {
			issued, err := e.Refresh(ctx, session.Renewal{Refresh: h.tokens.get(i), Transport: session.Bearer, ClientID: appClient})
			if err != nil {
				return err
			}
			took, err := endOne(ctx, issued.Access.Reveal(), first, watches)
			mu.Lock()
			defer mu.Unlock()
			for n := range took {
				watches[n].took.Add(took[n])
			}
			return err
		})
	}); err != nil {
		return err
	}
	return printWatches(p, watches)
}

func printWatches(p *plan, watches []*watch) error {
	rows := [][]string{{"another node", "p50 ms", "p99 ms", "greatest ms"}}
	var late []target
	for n, of := range []struct {
		name  string
		bound float64
	}{{"that listens", 50}, {"that only polls", 400}} {
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
		took := &watches[n].took
		rows = append(rows, []string{of.name, figure(ms(took.Quantile(0.5))), figure(ms(took.Quantile(0.99))), figure(ms(took.Max()))})
		late = append(late, target{what: "p99 of a node " + of.name + ", ms", values: []float64{ms(took.Quantile(0.99))}, bound: of.bound})
	}
	if err := printTable(p.out, "From the end of a session on one node to the refusal of its access token on another", rows); err != nil {
		return err
	}
	return printTargets(p.out, late)
}

// deafened is the database by a way that no LISTEN takes: the connection that
// tries is cut, as by a pooler that knows no such thing.
func deafened(p *plan, s *shared, url string) string {
	proxy := pgtest.NewProxy(p.stage, s.Addr())
	ended := make(chan struct{})
	cut := func() <-chan struct{} { return proxy.CutBefore(pgtest.Containing("LISTEN ")) }
	next := cut()
	go func() {
		for {
			select {
			case <-next:
				next = cut()
			case <-ended:
				return
			}
		}
	}()
	p.stage.Cleanup(func() { close(ended) })
	return proxy.URL(url)
}

// listeners waits until that many connections listen, and fails if there are
// more.
func (s *shared) listeners(want int) error {
	var found string
	for range 100 {
		found = s.Exec("postgres", `SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN %'`)
		if found == fmt.Sprint(want) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s nodes listen, and not %d", found, want)
}

// endOne ends a session at a node, and returns how long after that was asked
// for each of the others refused its access token.
func endOne(ctx context.Context, access string, at *node, others []*watch) ([]time.Duration, error) {
	for _, n := range others {
		if status, err := n.ask(ctx, "GET", "/auth/verify", access); err != nil || status != http.StatusNoContent {
			return nil, fmt.Errorf("a live session is answered %d: %w", status, err)
		}
	}
	pause() // or ends would come in step with what is timed
	begun := time.Now()
	took, errs := make([]time.Duration, len(others)), make([]error, len(others)+1)
	var wg sync.WaitGroup
	for i, n := range others {
		wg.Go(func() { took[i], errs[i] = n.refusal(ctx, access, begun) })
	}
	status, err := at.ask(ctx, "POST", "/auth/logout", access)
	if err == nil && status != http.StatusNoContent {
		err = fmt.Errorf("the end of a session is answered %d", status)
	}
	errs[len(others)] = err
	wg.Wait()
	return took, errors.Join(errs...)
}

// pause takes up to a poll's interval, by chance.
func pause() {
	var random [1]byte
	rand.Read(random[:])
	time.Sleep(time.Duration(random[0]) * time.Millisecond)
}

// refusal asks until the access token is refused, and returns how long that
// took.
func (n *node) refusal(ctx context.Context, access string, since time.Time) (time.Duration, error) {
	for {
		status, err := n.ask(ctx, "GET", "/auth/verify", access)
		switch took := time.Since(since); {
		case err != nil:
			return took, err
		case status == http.StatusUnauthorized:
			return took, nil
		case status != http.StatusNoContent || took > 10*time.Second:
			return took, fmt.Errorf("%v after the end of a session its token is answered %d", took, status)
		}
		time.Sleep(askAgain)
	}
}

// ask sends a request as the proxy in front of the node would, for somebody
// with an access token, and returns the status of the answer.
func (n *node) ask(ctx context.Context, method, path, access string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.public+path, nil)
	if err != nil {
		return 0, err
	}
	r.Host = strings.TrimPrefix(origin, "https://")
	for name, value := range map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/", "Authorization": "Bearer " + access} {
		r.Header.Set(name, value)
	}
	answer, err := asking.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
