package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/server/devapp"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// A Config is everything the server can be told, as it was told. [Config.Plan]
// checks it.
type Config struct {
	Dev            bool // http on localhost, a demo user, a bearer client
	Place          pawl.Place
	Listen         string // address of the public listener
	OpsListen      string // address of the operations listener
	Origins        []string
	TrustedProxies []string // CIDR
	Prefix         string
	RenewalRate    int      // renewals of one session a minute
	BearerClients  []string // "ID" or "ID=ORIGIN,ORIGIN"
	RequireDPoP    bool     // of those clients
	TLSCert        string   // file, with TLSKey; empty: plain HTTP behind a proxy
	TLSKey         string
	LogFormat      string // "text" or "json"
	AllowSignup    bool   // everybody may make an account
	BrandName      string // shown on the pages
	BrandLogo      string // file
	BrandColour    string // "#rrggbb"
	Places         string // file, of networks and the names of their places
	Home           string // path to go on to after a sign-in
	SignInPage     string // path of a program's own sign-in page, which hands users over
	OpsTLSCert     string // file, with OpsTLSKey, for the operations listener
	OpsTLSKey      string
	MinPassword    int    // characters of a new password; 0: by the policy
	MaxSessions    int    // live sessions of a user
	DeviceBinding  string // "off", "offer", "require" or "require-all"; empty: as the policy says
	CSRFToken      bool   // wanted besides the proof of origin
	CSPReports     string // where browsers report to

	DangerouslyAcceptStale   bool // go on without the store
	DangerouslyPlainServices bool // services of other machines call in plain http

	Stale      time.Duration // without the store, until access tokens are refused; 0: the default
	KeepEvents time.Duration // 0: the default
	Policy     session.Policy
	Keys       keyring.Options
}

// A Plan is a checked configuration.
type Plan struct {
	options   pawl.Options
	listen    string
	opsListen string
	tls       *tls.Config
	opsTLS    *tls.Config
	dev       bool
	logFormat string
}

// Plan checks the whole configuration and returns every fault at once, before
// anything is opened or made.
func (c Config) Plan() (Plan, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Dev {
		c = c.forDevelopment()
	}
	p := Plan{listen: c.Listen, opsListen: c.OpsListen, dev: c.Dev, logFormat: c.LogFormat}
	proxies, err := prefixes(c.TrustedProxies)
	if err != nil {
		faults = append(faults, err)
	}
	clients, err := bearerClients(c.BearerClients)
	if err != nil {
		faults = append(faults, err)
	}
	for _, listen := range []struct {
		flag, address string
		loopback      bool
	}{{"listen", c.Listen, c.Dev}, {"ops-listen", c.OpsListen, false}} {
		if _, err := net.ResolveTCPAddr("tcp", listen.address); err != nil {
			fault("--%s %q is no address; give host:port", listen.flag, listen.address)
		} else if host, _, _ := net.SplitHostPort(listen.address); listen.loopback && !isLoopback(host) {
			fault("--%s %s: --dev serves sign-in in plain text, on loopback only", listen.flag, listen.address)
		}
	}
	if len(c.Origins) == 0 {
		fault("--origin is missing; give the URL that browsers see, like https://app.example.com (or use --dev)")
	}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		if err == nil && u.Scheme == "http" && !c.Dev && len(proxies) == 0 {
			fault("--origin %s is not https; serve https, or name the proxy that does with --trusted-proxy", origin)
		}
	}
	if p.tls, err = serverTLS("tls", c.TLSCert, c.TLSKey); err != nil {
		faults = append(faults, err)
	}
	if p.opsTLS, err = serverTLS("ops-tls", c.OpsTLSCert, c.OpsTLSKey); err != nil {
		faults = append(faults, err)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		fault("--log-format %q is unknown; use text or json", c.LogFormat)
	}
	if info, err := os.Stat(c.Place.Directory); err == nil && !info.IsDir() {
		fault("--data %s is not a directory", c.Place.Directory)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		fault("--data %s: %w", c.Place.Directory, err)
	}
	logo, err := readLogo(c.BrandLogo)
	if err != nil {
		faults = append(faults, err)
	}
	known, err := readPlaces(c.Places)
	if err != nil {
		faults = append(faults, err)
	}
	p.options = pawl.Options{
		Data: c.Place.Directory, MasterKeyFile: c.Place.MasterKeyFile, Store: c.Place.Store,
		StoreSharded: c.Place.StoreSharded, DangerouslyPlainStore: c.Place.DangerouslyPlainStore, Origins: c.Origins, Prefix: c.Prefix, Policy: c.Policy,
		Keys: c.Keys, Clients: clients, RequireDPoP: c.RequireDPoP, TrustedProxies: proxies, RenewalRate: c.RenewalRate,
		AllowSignup: c.AllowSignup, Brand: pawl.Brand{Name: c.BrandName, Logo: logo, Colour: c.BrandColour},
		Home: c.Home, MinPassword: c.MinPassword, MaxSessions: c.MaxSessions,
		DeviceBinding: httpapi.DeviceBinding(c.DeviceBinding), RequireCSRFToken: c.CSRFToken, CSPReports: c.CSPReports,
		Stale: c.Stale, DangerouslyAcceptStale: c.DangerouslyAcceptStale, KeepEvents: c.KeepEvents,
		SignInPage: c.SignInPage, SignInHandoff: c.SignInPage != "", DangerouslyPlainServices: c.DangerouslyPlainServices,
	}
	if len(known) > 0 {
		p.options.Place = known.of
	}
	if c.Dev && devapp.Takes(c.Prefix) {
		fault("--prefix %s is where --dev has its own pages; give another", c.Prefix)
	}
	// The rest is known to the packages that use it.
	faults = append(faults, p.options.Validate())
	return p, errors.Join(faults...)
}

// forDevelopment fills in what was not said.
func (c Config) forDevelopment() Config {
	if _, port, err := net.SplitHostPort(c.Listen); len(c.Origins) == 0 && err == nil {
		c.Origins = []string{"http://localhost:" + port}
	}
	if len(c.BearerClients) == 0 {
		c.BearerClients = []string{"dev"}
	}
	return c
}

// maxLogo is above what pages take, and bounds what is read, in bytes.
const maxLogo = 1 << 20

// readLogo reads the picture, whose faults are for package pages to find.
func readLogo(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--brand-logo: %w", err)
	}
	defer f.Close()
	picture, err := io.ReadAll(io.LimitReader(f, maxLogo))
	if err == nil && len(picture) == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("--brand-logo %s: %w", path, err)
	}
	return picture, nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func prefixes(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	var faults []error
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() || p.Bits() == 0 {
			faults = append(faults, fmt.Errorf("--trusted-proxy %q is no network; give one like 10.0.0.0/8 or 192.0.2.7/32", text))
			continue
		}
		out = append(out, p)
	}
	return out, errors.Join(faults...)
}

func bearerClients(texts []string) ([]httpapi.Client, error) {
	var out []httpapi.Client
	var faults []error
	for _, text := range texts {
		id, origins, found := strings.Cut(text, "=")
		if id == "" || found && origins == "" {
			faults = append(faults, fmt.Errorf("--bearer-client %q is incomplete; give ID, or ID=ORIGIN,ORIGIN for browsers", text))
			continue
		}
		client := httpapi.Client{ID: id}
		if origins != "" {
			client.Origins = strings.Split(origins, ",")
		}
		out = append(out, client)
	}
	return out, errors.Join(faults...)
}

// serverTLS serves TLS 1.2 and later (RFC 9325 §3.1.1).
func serverTLS(flags, cert, key string) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" || key == "" {
		return nil, fmt.Errorf("--%[1]s-cert and --%[1]s-key belong together; give both or neither", flags)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("--%[1]s-cert %[2]s, --%[1]s-key %[3]s: %[4]w", flags, cert, key, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

// Check tells what the configuration means, or everything that is wrong.
func (c Config) Check(_ context.Context, log *slog.Logger) error {
	p, err := c.Plan()
	if err != nil {
		return err
	}
	o := &p.options
	log.Info("the configuration is good", "origins", o.Origins, "prefix", o.Prefix, "data", o.Data, "store", storeName(o.Store), "policy", o.Policy.Name,
		"access_ttl", o.Policy.AccessTTL, "turn_interval", o.Policy.TurnInterval, "settle", o.Policy.Settle,
		"race_window", o.Policy.RaceWindow, "idle", o.Policy.IdleLimit, "absolute", o.Policy.AbsoluteLimit,
		"algorithm", o.Keys.Algorithm, "trusted_proxies", o.TrustedProxies,
		"signup", o.AllowSignup, "min_password", o.PasswordLength(), "max_sessions", cmp.Or(o.MaxSessions, httpapi.DefaultMaxSessions),
		"stale", stale(o), "keep_events", cmp.Or(o.KeepEvents, pawl.DefaultKeepEvents),
		"home", o.Home, "brand", o.Brand.Name, "listen", p.listen, "ops_listen", p.opsListen)
	p.warn(log)
	return nil
}

// storeName tells where a store is. A password may be in its URL.
func storeName(url string) string {
	if url == "" {
		return "file"
	}
	return "postgres " + postgres.Options{URL: url}.Name()
}

func stale(o *pawl.Options) string {
	if o.DangerouslyAcceptStale {
		return "never"
	}
	return cmp.Or(o.Stale, pawl.DefaultStale).String()
}

// warn tells what is allowed and probably not meant: without the address of
// the client, attempts to sign in are counted as those of one network.
func (p Plan) warn(log *slog.Logger) {
	if p.options.DangerouslyAcceptStale {
		log.Warn("without its store this node goes on accepting access tokens of sessions that were ended elsewhere; watch pawl_feed_age_seconds")
	}
	switch proxied := len(p.options.TrustedProxies) > 0; {
	case p.dev || proxied:
	case p.tls == nil:
		log.Warn("a proxy that serves https is not trusted, so every request is refused as plain http: name it with --trusted-proxy, or serve https with --tls-cert")
	default:
		log.Warn("no proxy is trusted: if there is one in front, all its clients are one network, in which one who guesses passwords holds up everybody; name it with --trusted-proxy")
	}
}

// drainTime is how long requests in flight may take when the server stops.
const drainTime = 10 * time.Second
