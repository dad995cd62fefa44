package openapitest

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dbsc/dbsctest"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/keyring"
)

// A wire carries what a browser sends to a world, and holds it against the
// document.
type wire struct {
	document
	*world
	shown []string // "POST /path 200"
}

// RoundTrip implements [http.RoundTripper].
func (c *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	x := exchange{method: r.Method, path: r.URL.Path, body: string(body)}
	for name, lines := range r.Header {
		for _, line := range lines {
			x.headers = append(x.headers, name+": "+line)
		}
	}
	sent, resp := c.send(x.method, x.path, x.body, x.headers)
	x.status = resp.StatusCode
	c.hold(c.world, x, sent, resp)
	c.shown = append(c.shown, x.method+" "+x.path+" "+strconv.Itoa(resp.StatusCode))
	return resp, nil
}

// devices has a browser bind its session to its device and renew it, and others
// try. It returns what was shown.
func (d document) devices(t *testing.T) []string {
	t.Helper()
	c := &wire{document: d, world: newWorld(t, func(o *httpapi.Options, master *keyring.Master) {
		var err error
		if o.DBSC, err = dbsc.NewIssuer(master.DBSCKeys()); err != nil {
			t.Fatal(err)
		}
		o.DeviceBinding = httpapi.BindingOffer
	})}
	b := dbsctest.NewBrowser(origin, c, func() time.Time { return c.now })
	ask := func(method, path, body string, headers ...string) {
		t.Helper()
		if _, err := b.Do(method, path, body, headers...); err != nil {
			t.Fatal(err)
		}
	}
	const (
		mode   = "Sec-Fetch-Mode: no-cors"
		nobody = dbsc.IdentifierHeader + ": x"
		proof  = dbsc.ResponseHeader + ": x"
	)
	ask("POST", "/auth/login", `{"username":"ada","password":"`+password+`"}`, jsonBody) // and registers
	c.now = c.now.Add(10 * time.Minute)
	ask("GET", "/auth/session", "") // renews before
	b.SetChallenge("")
	c.now = c.now.Add(10 * time.Minute)
	ask("GET", "/auth/session", "") // is told a challenge first
	ask("POST", "/auth/dbsc/register", "", proof, mode)
	ask("POST", "/auth/dbsc/register", "", proof)
	ask("POST", "/auth/dbsc/refresh", "", nobody, mode)

	without := exchange{"POST", "/auth/dbsc/refresh", "", []string{nobody, mode, page}, http.StatusNotFound, false}
	c.shown = append(c.shown, "POST /auth/dbsc/refresh "+strconv.Itoa(d.check(newWorld(t), without)))
	without = exchange{"POST", "/auth/dbsc/register", "", []string{proof, mode, page}, http.StatusNotFound, false}
	return append(c.shown, "POST /auth/dbsc/register "+strconv.Itoa(d.check(newWorld(t), without)))
}
