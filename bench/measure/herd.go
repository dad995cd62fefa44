package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/bench/load/renewal"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

const (
	audience  = "https://api.example"
	origin    = "https://app.example"
	appClient = "app"
	perUser   = 4 // sessions of each user
	leeway    = 5 * time.Second
	userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// strict lets every renewal turn its session.
func strict() (session.Policy, error) {
	p, err := session.Preset("default")
	return p.MakeStrict(), err
}

// A herd is a store with sessions, each with its newest refresh token.
type herd struct {
	place    pawl.Place
	audience string // of the sessions
	data     *pawl.Data
	ring     *keyring.Ring
	sessions []session.ID
	tokens   *slab
	next     []int // by worker: which of its sessions is renewed next
}

// newHerd makes the directory with n sessions of each of the transports.
func newHerd(ctx context.Context, dir string, n int, transports ...session.Transport) (*herd, error) {
	all := n * len(transports)
	h := &herd{place: pawl.Place{Directory: dir}, audience: audience, tokens: newSlab(all), sessions: make([]session.ID, all)}
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	if err := h.fill(ctx, n, transports); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *herd) open(ctx context.Context) error {
	p, err := strict()
	if err != nil {
		return err
	}
	if h.data, err = pawl.OpenData(ctx, h.place, true); err != nil {
		return err
	}
	h.ring, err = keyring.Open(ctx, h.data.Store, h.data.Master, keyring.Options{Algorithm: keyring.EdDSA,
		Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: p.FeedKeep(leeway)})
	if err != nil {
		return errors.Join(err, h.close())
	}
	return nil
}

func (h *herd) close() error { return h.data.Close() }

// reopen does something while the database is closed, and so in one file.
func (h *herd) reopen(ctx context.Context, between func() error) error {
	if err := errors.Join(h.close(), between()); err != nil {
		return err
	}
	return h.open(ctx)
}

// file is the path of a database that is a file.
func (h *herd) file() string { return filepath.Join(h.place.Directory, "pawl.db") }

// bytes is the size of the database; take it while it is closed.
func (h *herd) bytes() (int64, error) {
	info, err := os.Stat(h.file())
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func userID(n int) string { return fmt.Sprintf("u_%026d", n) }

// fill stores the sessions, many at once so that they share transactions. What
// is stored is what a login would store; nothing is signed.
func (h *herd) fill(ctx context.Context, n int, transports []session.Transport) error {
	codec := token.NewRefreshCodec(h.data.Master.RefreshKeys()...)
	stride := strideOf(len(h.sessions))
	return inParallel(128, len(h.sessions), func(r int) error {
		if r%perUser == 0 {
			user := account.User{ID: userID(r / perUser), Name: fmt.Sprintf("user%d", r/perUser), Hash: "none"}
			if err := h.data.Store.CreateUser(ctx, user, 0); err != nil {
				return err
			}
		}
		i := r * stride % len(h.sessions)
		row, err := h.row(userID(r/perUser), transports[i/n])
		if err != nil {
			return err
		}
		if err := h.data.Store.Create(ctx, row); err != nil {
			return err
		}
		raw, err := codec.Seal(row.Key, row.ID, 1, row.Salt)
		h.sessions[i] = row.ID
		h.tokens.set(i, raw.Reveal())
		return err
	})
}

// row is a session that begins now.
func (h *herd) row(user string, transport session.Transport) (session.Row, error) {
	p, err := strict()
	now := time.Now()
	return session.Row{
		ID: token.NewID(), Salt: token.Salt(token.NewID()), Key: h.data.Master.Current(), UserID: user,
		ClientID: appClient, Audience: h.audience, Scope: "profile orders:read", Generation: 1, RotatedAt: now,
		CreatedAt: now, AuthTime: now, Methods: []string{"pwd"}, AbsoluteEnd: now.Add(p.AbsoluteLimit),
		IdleLimit: p.IdleLimit, Transport: transport, Remembered: true, UserAgent: userAgent,
		Address: "192.0.2.0/24", LastSeen: now.Truncate(time.Hour),
	}, err
}

// strideOf returns a step that visits all of n before it visits one again.
// Sessions are stored in these steps, so that those that are renewed one after
// the other lie on different pages, as in life.
func strideOf(n int) int {
	step := max(1, n*618/1000)
	for gcd(step, n) != 1 {
		step++
	}
	return step
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// inParallel calls f for 0 to n-1, workers at once, and returns the first
// error of each worker.
func inParallel(workers, n int, f func(int) error) error {
	var next atomic.Int64
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// engine returns one over the given view of the herd's store.
func (h *herd) engine(store session.Store, record func(session.Event)) (*session.Engine, error) {
	p, err := strict()
	if err != nil {
		return nil, err
	}
	return session.New(session.Options{Store: store, Policy: p, Issuer: origin,
		Codec: token.NewRefreshCodec(h.data.Master.RefreshKeys()...), Key: h.data.Master.Current(),
		Signer: func() token.Signer { return h.ring.Signer() }, Pseudonym: h.data.Master.Pseudonyms(),
		Record: record, Timeout: 5 * time.Second, MaxQueue: 4096})
}

// renew has as many workers as there are engines, each with an engine and
// sessions of its own, renew for the given time. Every renewal must turn.
func (h *herd) renew(ctx context.Context, engines []*session.Engine, d time.Duration) (sample, error) {
	workers := len(engines)
	if len(h.next) < workers {
		h.next = make([]int, workers)
	}
	took, errs := make([]renewal.Histogram, workers), make([]error, workers)
	var wg sync.WaitGroup
	cpu, start := spent(), time.Now()
	for w := range workers {
		wg.Go(func() {
			for errs[w] == nil && time.Since(start) < d {
				i := h.next[w]*workers + w
				if i >= h.tokens.len() {
					h.next[w] = 0
					continue
				}
				h.next[w]++
				begun := time.Now()
				errs[w] = h.renewOne(ctx, engines[w], i)
				took[w].Add(time.Since(begun))
			}
		})
	}
	wg.Wait()
	out := sample{wall: time.Since(start), cpu: spent() - cpu}
	out.took = merged(took)
	out.ops = int(out.took.Count())
	return out, errors.Join(errs...)
}

func (h *herd) renewOne(ctx context.Context, e *session.Engine, i int) error {
	raw := h.tokens.get(i)
	issued, err := e.Refresh(ctx, session.Renewal{Refresh: raw, Transport: session.Bearer, ClientID: appClient,
		Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: userAgent}})
	if err != nil {
		return err
	}
	if issued.Refresh.Reveal() == raw {
		return errors.New("the session did not turn")
	}
	h.tokens.set(i, issued.Refresh.Reveal())
	return nil
}

// A slab holds one refresh token for each session, without pointers, so that a
// million of them cost the collector nothing.
type slab struct {
	text []byte
	size []uint8
}

func newSlab(n int) *slab {
	return &slab{text: make([]byte, n*token.MaxRefresh), size: make([]uint8, n)}
}

func (s *slab) len() int { return len(s.size) }

func (s *slab) get(i int) string {
	at := i * token.MaxRefresh
	return string(s.text[at : at+int(s.size[i])])
}

func (s *slab) set(i int, text string) {
	s.size[i] = uint8(copy(s.text[i*token.MaxRefresh:(i+1)*token.MaxRefresh], text))
}
