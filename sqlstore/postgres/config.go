package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Bounds that the database itself keeps, so that no node that hangs holds up
// the others. Statements end well below the overlap with which the feed of
// ended sessions is read.
const (
	statementTimeout = 4 * time.Second
	lockTimeout      = 2 * time.Second
	idleTimeout      = 5 * time.Second // within a transaction
	connectTimeout   = 3 * time.Second
)

// maxConns is how many connections a node has unless the URL says
// pool_max_conns: renewals of all requests share one at a time.
const maxConns = 8

// ErrPlain says that the way to the database is open to others.
var ErrPlain = errors.New("the way to the database leaves this machine and its server is not proved; add sslmode=verify-full (and sslrootcert=FILE) to the URL")

var errURL = errors.New("the URL of the database cannot be read; give postgres://user:password@host:port/name")

// Validate tells what is wrong with the options, without opening anything. Its
// errors do not contain the URL.
func (o Options) Validate() error {
	_, err := o.config()
	return err
}

// config reads the URL. Its errors do not contain it: it has a password.
func (o Options) config() (*pgxpool.Config, error) {
	if o.URL == "" {
		return nil, errURL
	}
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errURL
	}
	if !o.DangerouslyPlain && proved(c) != nil && !hasSetting(o.URL, "sslmode") && os.Getenv("PGSSLMODE") == "" {
		// libpq's default gives up encryption where the server, or who speaks in
		// its name, offers none.
		if c, err = pgxpool.ParseConfig(withSetting(o.URL, "sslmode", "verify-full")); err != nil {
			return nil, fmt.Errorf("%w; its certificate authority is not read", errURL)
		}
	}
	if err := proved(c); err != nil && !o.DangerouslyPlain {
		return nil, err
	}
	if !hasSetting(o.URL, "pool_max_conns") {
		c.MaxConns = maxConns
	}
	c.ConnConfig.ConnectTimeout = connectTimeout
	// A server that takes no writes, a standby or a primary that was demoted,
	// does not know what has ended.
	if !hasSetting(o.URL, "target_session_attrs") && os.Getenv("PGTARGETSESSIONATTRS") == "" {
		c.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	settings := c.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":                    "pawl",
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTimeout),
		"timezone":                            "UTC",
	} {
		if settings[name] == "" {
			settings[name] = value
		}
	}
	var plans []string
	for _, name := range planless {
		if settings[name] == "" {
			plans = append(plans, "SET "+name+" = off")
		}
	}
	c.AfterConnect = prefer(plans)
	return c, nil
}

// planless are ways to run a statement that no statement of this package wants.
// A connection plans once what it runs often, and keeps the plan until the
// table is analysed. A plan that was made while the table was empty reads the
// whole of it: minutes later, when it is full, renewals would take seconds.
// Every statement that is run often finds its rows by an index. Plans that
// cannot do without a whole read, of a table with one row, are rated so
// expensive then that they would be compiled first, unless jit is off too.
var planless = []string{"enable_seqscan", "jit"}

// prefer returns what asks a new connection for settings that may be refused:
// not every engine knows them.
func prefer(statements []string) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		for _, s := range statements {
			if _, err := conn.Exec(ctx, s); err != nil && conn.IsClosed() {
				return err
			}
		}
		return nil
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// proved returns [ErrPlain] if any of the servers that may be spoken to is
// neither on this machine nor proved by its certificate.
func proved(c *pgxpool.Config) error {
	if !onThisMachine(c.ConnConfig.Host) && !verified(c.ConnConfig.TLSConfig) {
		return ErrPlain
	}
	for _, f := range c.ConnConfig.Fallbacks {
		if !onThisMachine(f.Host) && !verified(f.TLSConfig) {
			return ErrPlain
		}
	}
	return nil
}

// verified: with sslmode=verify-ca the name is not checked, the chain is.
func verified(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil)
}

func onThisMachine(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true // a socket
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// isURL reports whether a connection string is a URL, and not key=value pairs.
func isURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// hasSetting reports whether a connection string names a setting.
func hasSetting(text, name string) bool {
	if u, err := url.Parse(text); err == nil && isURL(text) {
		return u.Query().Has(name)
	}
	for field := range strings.FieldsSeq(text) {
		if key, _, found := strings.Cut(field, "="); found && key == name {
			return true
		}
	}
	return false
}

// withSetting adds a setting to a connection string.
func withSetting(text, name, value string) string {
	u, err := url.Parse(text)
	if err != nil || !isURL(text) {
		return text + " " + name + "=" + value
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// Name says where the database is, and not who opens it: "host:port/database",
// with the hosts that are tried after the first. Without a usable URL it is
// "postgres".
func (o Options) Name() string {
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return "postgres"
	}
	hosts := []string{net.JoinHostPort(c.ConnConfig.Host, strconv.Itoa(int(c.ConnConfig.Port)))}
	for _, f := range c.ConnConfig.Fallbacks { // one host is there once with TLS and once without
		hosts = append(hosts, net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))))
	}
	return strings.Join(slices.Compact(hosts), ",") + "/" + c.ConnConfig.Database
}
