package renewal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ErrRemote is returned for a target that is not on this machine: a generator
// of load is not to be pointed at others by mistake.
var ErrRemote = errors.New("the target is not a loopback address; this tool is for test machines")

// A Target is where requests go: one address, looked up once.
type Target struct {
	address string      // to dial
	tls     *tls.Config // nil for http
	Host    string      // of the Host field; change it for a server that is called otherwise
	path    string      // with the query
}

// ParseTarget reads an absolute http or https URL without user or fragment,
// and looks its host up. All addresses of the host must be loopback ones
// ([ErrRemote]) unless dangerouslyRemote is given. config is for https only;
// nil trusts what the system trusts.
func ParseTarget(ctx context.Context, raw string, config *tls.Config, dangerouslyRemote bool) (*Target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, fmt.Errorf("%q is no http or https URL without user and fragment", raw)
	}
	t := &Target{Host: u.Host, path: u.RequestURI()}
	port := u.Port()
	if u.Scheme == "https" {
		if config == nil {
			config = &tls.Config{}
		}
		t.tls = config.Clone()
		t.tls.ServerName, t.tls.NextProtos = u.Hostname(), []string{"http/1.1"}
	}
	if port == "" {
		port = u.Scheme // net knows the names
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, err
	}
	if !dangerouslyRemote {
		for _, ip := range found {
			if !ip.Unmap().IsLoopback() {
				return nil, fmt.Errorf("%s is %s: %w", u.Hostname(), ip, ErrRemote)
			}
		}
	}
	t.address = net.JoinHostPort(preferred(found).String(), port)
	return t, nil
}

// preferred takes IPv4 if there is any: localhost has both, and a server that
// listens on it often has one.
func preferred(found []netip.Addr) netip.Addr {
	for _, ip := range found {
		if ip = ip.Unmap(); ip.Is4() {
			return ip
		}
	}
	return found[0]
}

// ParseHeader reads a header field, "Name: value", as a request is to carry it.
func ParseHeader(line string) (string, error) {
	name, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok || !isToken([]byte(name)) || !isFieldValue([]byte(value)) {
		return "", fmt.Errorf("%q is no header field, as in Name: value", line)
	}
	for _, own := range []string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection"} {
		if strings.EqualFold(name, own) {
			return "", fmt.Errorf("the header field %s is not free", own)
		}
	}
	return name + ": " + value + "\r\n", nil
}
