package bench

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	issuerName = "https://app.example"
	host       = "app.example"
	client     = "web"
	leeway     = 5 * time.Second
	cacheSize  = 1 << 16 // as package pawl has it
	pool       = 1 << 13 // tokens that exist
	ended      = 1000    // sessions in the set of ended ones
)

// An issuer is everything that makes and verifies tokens, over a store in
// memory. The same tokens go to every library.
type issuer struct {
	master  *keyring.Master
	ring    *keyring.Ring
	store   *countingStore
	engine  *session.Engine
	revoked *verify.Revoked
	issued  []session.Issued
	tokens  []string // access tokens of issued
	public  ed25519.PublicKey
	keyID   string
}

// policy lets tokens live as long as the slowest run, and lets each renewal
// turn.
func policy() (session.Policy, error) {
	p, err := session.Preset("default")
	if err != nil {
		return p, err
	}
	p.AccessTTL, p.DangerouslyLongAccess = 24*time.Hour, true
	return p.MakeStrict(), nil
}

func newIssuer() (*issuer, error) {
	ctx := context.Background()
	i := &issuer{store: &countingStore{Store: memstore.New(time.Now)}}
	p, err := policy()
	if err != nil {
		return nil, err
	}
	if i.master, err = keyring.ParseMaster(keyring.NewMasterText()); err != nil {
		return nil, err
	}
	i.ring, err = keyring.Open(ctx, keyringtest.NewStore(time.Now), i.master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: p.FeedKeep(leeway)})
	if err != nil {
		return nil, err
	}
	i.engine, err = session.New(session.Options{
		Store: i.store, Policy: p, Issuer: issuerName, Codec: token.NewRefreshCodec(i.master.RefreshKeys()...),
		Key: i.master.Current(), Signer: func() token.Signer { return i.ring.Signer() },
		Pseudonym: i.master.Pseudonyms(), Record: func(session.Event) {}, Timeout: 5 * time.Second, MaxQueue: 4096,
	})
	if err != nil {
		return nil, err
	}
	if err := i.issue(ctx); err != nil {
		return nil, err
	}
	if err := i.follow(ctx, p); err != nil {
		return nil, err
	}
	return i, i.publish()
}

// issue starts the sessions that the tokens are of.
func (i *issuer) issue(ctx context.Context) error {
	for n := range pool {
		issued, err := i.engine.Start(ctx, session.Login{
			UserID: fmt.Sprintf("u%021d", n), ClientID: client, Audience: issuerName, Scope: "profile orders:read",
			Methods: []string{"pwd"}, Transport: session.Cookie,
		})
		if err != nil {
			return err
		}
		i.issued = append(i.issued, issued)
		i.tokens = append(i.tokens, issued.Access.Reveal())
	}
	return nil
}

// follow makes the set of ended sessions, of none of which there is a token.
func (i *issuer) follow(ctx context.Context, p session.Policy) (err error) {
	i.revoked, err = verify.NewRevoked(verify.FollowOptions{
		Keep: p.FeedKeep(leeway), Overlap: 30 * time.Second, WholeEvery: 10 * time.Second, Stale: 24 * time.Hour})
	if err != nil {
		return err
	}
	now := time.Now()
	for range ended {
		i.revoked.Add(token.NewID(), now)
	}
	_, err = i.revoked.Poll(ctx, i.store, now)
	return err
}

// publish reads the public key from the key set, as others would.
func (i *issuer) publish() error {
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
			X  string `json:"x"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(i.ring.Set().Document(), &set); err != nil {
		return err
	}
	if len(set.Keys) != 1 {
		return errors.New("the key set is not one key")
	}
	public, err := token.AppendDecodedBase64URL(nil, set.Keys[0].X)
	if err == nil && len(public) != ed25519.PublicKeySize {
		err = errors.New("not an Ed25519 key")
	}
	i.public, i.keyID = public, set.Keys[0].ID
	return err
}

// verifier returns a new one, which has seen no token.
func (i *issuer) verifier(cache int) (*verify.Verifier, error) {
	return verify.New(verify.Config{Issuer: issuerName, Audience: issuerName, Keys: i.ring, Revocations: i.revoked,
		Leeway: leeway, CacheSize: cache})
}

// turns returns a function that gives one token after the other.
func (i *issuer) turns() func() string {
	n := -1
	return func() string {
		if n++; n == len(i.tokens) {
			n = 0
		}
		return i.tokens[n]
	}
}

// signature splits a token into what was signed and the signature.
func signature(raw string) (message, sig []byte, err error) {
	at := strings.LastIndexByte(raw, '.')
	sig, err = token.AppendDecodedBase64URL(nil, raw[at+1:])
	return []byte(raw[:at]), sig, err
}

// countingStore counts what is asked of the store.
type countingStore struct {
	*memstore.Store
	loads int
}

func (s *countingStore) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	s.loads++
	return s.Store.Load(ctx, ids)
}

var algorithms = []jose.SignatureAlgorithm{jose.EdDSA}
