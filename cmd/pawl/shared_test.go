package main

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/pgtest"
)

// What a command ends in a PostgreSQL, a server on it refuses within a second;
// and neither the password of the database nor the secret of a service is in
// anything that either of them writes.
//
// Rows: 93, 118, 143, 155, 186, 197, 236, A33, A45, A98
func TestCommandsReachAServerOnPostgreSQL(t *testing.T) {
	store, data := pgtest.Database(t), filepath.Join(t.TempDir(), "data")
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, data, "--store", store)
	var written strings.Builder
	pawl := func(args ...string) string {
		t.Helper()
		out := command(t, append(args, "--store", store, "--data", data)...)
		written.WriteString(out)
		return out
	}
	signIn := func() (access, refresh, id string) {
		t.Helper()
		a := p.login("demo", p.password)
		if a.status != 200 || p.session(a.text("access_token")).status != 200 {
			t.Fatalf("sign-in: %d %s", a.status, a.raw)
		}
		return a.text("access_token"), a.text("refresh_token"), a.body["session"].(map[string]any)["id"].(string)
	}
	refused := func(what, access, refresh string) {
		t.Helper()
		eventually(t, time.Second, what+" is refused", func() bool { return p.session(access).status == 401 })
		if a := p.renew(refresh); a.status != 400 || a.text("error") != "invalid_grant" {
			t.Errorf("%s renews: %d %s", what, a.status, a.raw)
		}
	}

	access, refresh, id := signIn()
	kept, keptRefresh, _ := signIn()
	if list := pawl("session", "list"); strings.Count(list, " live ") != 2 || !strings.Contains(list, id) {
		t.Errorf("session list: %s", list)
	}
	if out := pawl("session", "end", id); !strings.Contains(out, "Repeat with --yes") || p.session(access).status != 200 {
		t.Errorf("without --yes: %s", out)
	}
	pawl("session", "end", id, "--yes")
	refused("a session", access, refresh)
	if p.session(kept).status != 200 {
		t.Error("another session ended too")
	}
	pawl("session", "end", "--user", "demo", "--yes")
	refused("a user's session", kept, keptRefresh)

	access, refresh, _ = signIn()
	pawl("session", "end", "--everyone", "--yes")
	refused("everybody's session", access, refresh)
	list := pawl("session", "list", "--ended")
	if strings.Count(list, "operator") != 3 || strings.Contains(list, " live ") {
		t.Errorf("session list --ended: %s", list)
	}

	// Who signs in at once is ended with the others: for two seconds, which this
	// machine may need for the command.
	var early answer
	for range 10 {
		began := time.Now()
		pawl("session", "end", "--everyone", "--yes")
		if early = p.login("demo", p.password); time.Since(began) < 2*time.Second {
			break
		}
	}
	eventually(t, time.Second, "a session that begins too early is refused", func() bool { return p.session(early.text("access_token")).status == 401 })
	var asked time.Time
	eventually(t, 20*time.Second, "a session that begins later stays", func() bool {
		if time.Since(asked) < 500*time.Millisecond {
			return false
		}
		asked = time.Now()
		a := p.login("demo", p.password)
		access, refresh = a.text("access_token"), a.text("refresh_token")
		return p.session(access).status == 200
	})
	pawl("fence", "--yes")
	refused("a session of before the fence", access, refresh)

	secret := regexp.MustCompile(`pawl_sk_\S+`).FindString(command(t, "service", "add", "shop", "--scope", "events:read", "--store", store, "--data", data))
	pawl("service", "list")
	pawl("key", "list")
	pawl("user", "export", "demo")
	pawl("fsck")
	events := pawl("events", "--json")
	for _, kind := range []string{"session_started", "session_ended", "everyone_ended", "fenced", "key_withdrawn", "service_added"} {
		if !strings.Contains(events, `"`+kind+`"`) {
			t.Errorf("no event %s: %s", kind, events)
		}
	}
	if err := p.stop(); err != nil {
		t.Errorf("orderly stop: %v", err)
	}
	written.WriteString(p.output())
	password, _ := u.User.Password()
	if all := written.String(); secret == "" || strings.Contains(all, secret) || len(password) >= minSecret && strings.Contains(all, password) {
		t.Error("a secret was written")
	}
}
