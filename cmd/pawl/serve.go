package main

import (
	"context"
	"errors"
	"time"

	"github.com/pawlauth/pawl/server"
)

// serveFlags are the settings of the server.
type serveFlags struct {
	dataFlags
	policyFlags
	keyFlags
	Dev                      bool          `env:"PAWL_DEV" help:"Serve http://localhost:8080 with a user demo; for trying things out."`
	Listen                   string        `default:"localhost:8080" placeholder:"ADDR" env:"PAWL_LISTEN" help:"Address of the public listener."`
	OpsListen                string        `default:"localhost:8081" placeholder:"ADDR" env:"PAWL_OPS_LISTEN" help:"Address of /healthz, /readyz, /metrics and the service API; never a public one."`
	Origin                   []string      `placeholder:"URL" env:"PAWL_ORIGIN" help:"What browsers see, like https://app.example.com; the first is the issuer."`
	TrustedProxy             []string      `placeholder:"CIDR" env:"PAWL_TRUSTED_PROXY" help:"Networks of proxies whose X-Forwarded headers count; none by default."`
	Prefix                   string        `default:"/auth" placeholder:"PATH" env:"PAWL_PREFIX" help:"Where the routes are."`
	BearerClient             []string      `sep:"none" placeholder:"ID[=ORIGIN,…]" env:"PAWL_BEARER_CLIENT" help:"Clients that may get tokens in a body; none by default."`
	RequireDPoP              bool          `name:"require-dpop" env:"PAWL_REQUIRE_DPOP" help:"Give these clients only tokens that are bound to a key, and accept no others in Authorization."`
	OpsTLSCert               string        `name:"ops-tls-cert" placeholder:"FILE" env:"PAWL_OPS_TLS_CERT" help:"Certificate chain of the operations listener; services of other machines need it."`
	OpsTLSKey                string        `name:"ops-tls-key" placeholder:"FILE" env:"PAWL_OPS_TLS_KEY" help:"Private key of that certificate."`
	DangerouslyPlainServices bool          `env:"PAWL_DANGEROUSLY_PLAIN_SERVICES" help:"Let services of other machines call in plain http."`
	SignInPage               string        `placeholder:"PATH" env:"PAWL_SIGN_IN_PAGE" help:"Sign-in page of the application, which hands users over by the service API."`
	RenewalRate              int           `default:"120" placeholder:"N" env:"PAWL_RENEWAL_RATE" help:"Renewals of one session a minute that are served."`
	TLSCert                  string        `name:"tls-cert" placeholder:"FILE" env:"PAWL_TLS_CERT" help:"Certificate chain, if no proxy serves TLS."`
	TLSKey                   string        `name:"tls-key" placeholder:"FILE" env:"PAWL_TLS_KEY" help:"Private key of the certificate."`
	AllowSignup              bool          `env:"PAWL_ALLOW_SIGNUP" help:"Let everybody make an account."`
	MinPassword              int           `placeholder:"N" env:"PAWL_MIN_PASSWORD" help:"Characters that a new password must have, 8 to 64 (8; 15 with a policy of NIST's)."`
	MaxSessions              int           `placeholder:"N" env:"PAWL_MAX_SESSIONS" help:"Live sessions of one user; a login beyond them ends the oldest (100)."`
	DeviceBinding            string        `placeholder:"HOW" env:"PAWL_DEVICE_BINDING" help:"Bind sessions to devices where browsers can: off, offer, require or require-all (offer; require with aal3)."`
	CSRFToken                bool          `name:"require-csrf-token" env:"PAWL_REQUIRE_CSRF_TOKEN" help:"Want the CSRF token besides the proof of origin; policies of NIST's do."`
	CSPReports               string        `name:"csp-reports" placeholder:"URL" env:"PAWL_CSP_REPORTS" help:"Where browsers report violations of the pages' content policy."`
	Home                     string        `default:"/" placeholder:"PATH" env:"PAWL_HOME" help:"Where a sign-in leads that was on the way nowhere."`
	Places                   string        `placeholder:"FILE" env:"PAWL_PLACES" help:"Table of networks and their places (192.0.2.0/24,Vienna) for the list of devices."`
	BrandName                string        `placeholder:"NAME" env:"PAWL_BRAND_NAME" help:"Name on the pages, at most 40 characters (Pawl)."`
	BrandLogo                string        `placeholder:"FILE" env:"PAWL_BRAND_LOGO" help:"Logo on the pages: SVG, PNG, JPEG or WebP, at most 256 KiB."`
	BrandColour              string        `placeholder:"#RRGGBB" env:"PAWL_BRAND_COLOUR" help:"Colour of the main button."`
	Stale                    time.Duration `placeholder:"D" env:"PAWL_STALE" help:"How long the store may be away until access tokens are refused, 5s to 1h (1m)."`
	DangerouslyAcceptStale   bool          `env:"PAWL_DANGEROUSLY_ACCEPT_STALE" help:"Go on accepting access tokens without the store: sessions that end meanwhile live on until theirs expire."`
	KeepEvents               time.Duration `placeholder:"D" env:"PAWL_KEEP_EVENTS" help:"How long events are kept, 24h or longer (2160h)."`
	LogFormat                string        `default:"text" placeholder:"FORMAT" env:"PAWL_LOG_FORMAT" help:"text or json."`
}

// config returns the settings, or everything that is wrong with them.
func (f serveFlags) config() (server.Config, error) {
	policy, err := f.policy()
	c := server.Config{
		Dev: f.Dev, Place: f.place(), Listen: f.Listen, OpsListen: f.OpsListen,
		Origins: f.Origin, TrustedProxies: f.TrustedProxy, Prefix: f.Prefix, BearerClients: f.BearerClient, RequireDPoP: f.RequireDPoP, RenewalRate: f.RenewalRate,
		TLSCert: f.TLSCert, TLSKey: f.TLSKey, LogFormat: f.LogFormat, Policy: policy, Keys: f.options(),
		AllowSignup: f.AllowSignup, MinPassword: f.MinPassword, MaxSessions: f.MaxSessions, Home: f.Home, Places: f.Places, DeviceBinding: f.DeviceBinding, CSRFToken: f.CSRFToken, CSPReports: f.CSPReports,
		Stale: f.Stale, DangerouslyAcceptStale: f.DangerouslyAcceptStale, KeepEvents: f.KeepEvents,
		SignInPage: f.SignInPage, OpsTLSCert: f.OpsTLSCert, OpsTLSKey: f.OpsTLSKey, DangerouslyPlainServices: f.DangerouslyPlainServices,
		BrandName: f.BrandName, BrandLogo: f.BrandLogo, BrandColour: f.BrandColour,
	}
	if err != nil {
		_, more := c.Plan()
		err = errors.Join(err, more)
	}
	return c, err
}

type serveCmd struct{ serveFlags }

// Help is shown below the flags.
func (serveCmd) Help() string {
	return `Examples:

  pawl serve --dev --strict
  pawl serve --origin https://app.example.com --tls-cert cert.pem --tls-key key.pem
  pawl serve --origin https://app.example.com --trusted-proxy 127.0.0.1/32 --data /var/lib/pawl`
}

func (c *serveCmd) Run(ctx context.Context, s *streams) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	server.HoldHeap()
	return server.Run(ctx, config, s.out, s.err)
}

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check the settings that pawl serve would get, and tell everything that is wrong with them."`
}

type configCheckCmd struct{ serveFlags }

func (c *configCheckCmd) Run(ctx context.Context, s *streams) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	return config.Check(ctx, server.NewLogger(s.out, "text"))
}
