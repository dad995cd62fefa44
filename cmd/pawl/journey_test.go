package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The journey of the README: sign in, renew, use the new token, replay the old
// one, and see the session end and why. The events are exactly the expected
// ones, and no secret is in anything the server wrote.
//
// Rows: 93, 111, 112, 113, 119, 128, 139, 236, 238, 241, 247, A33, A37, A43, A92
func TestJourney(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"), "--strict")
	first := p.login("demo", p.password)
	if first.status != 200 {
		t.Fatalf("sign-in: %d %s", first.status, first.raw)
	}
	second := p.renew(first.text("refresh_token"))
	if second.status != 200 || second.text("refresh_token") == first.text("refresh_token") {
		t.Fatalf("renewal: %d %s", second.status, second.raw)
	}
	if a := p.session(second.text("access_token")); a.status != 200 {
		t.Fatalf("the new token in use: %d %s", a.status, a.raw)
	}
	// The use is reported in a batch, soon.
	eventually(t, 5*time.Second, "the use of the new token is confirmed", func() bool {
		return strings.Contains(p.pawl("session", "list"), " 2 ") // generation
	})
	var replay answer
	eventually(t, 5*time.Second, "the replay is refused", func() bool {
		replay = p.renew(first.text("refresh_token"))
		return replay.status == 400
	})
	if replay.text("error") != "invalid_grant" {
		t.Errorf("replay: %s", replay.raw)
	}
	for name, a := range map[string]answer{
		"newest refresh token": p.renew(second.text("refresh_token")),
		"newest access token":  p.session(second.text("access_token")),
		"first access token":   p.session(first.text("access_token")),
	} {
		if a.status/100 != 4 {
			t.Errorf("after the theft, the %s gets %d", name, a.status)
		}
	}
	third := p.login("demo", p.password)
	if a := p.must("POST", "/auth/logout", "", "", "Authorization", "Bearer "+third.text("access_token")); a.status != 204 {
		t.Errorf("sign-out: %d %s", a.status, a.raw)
	}
	if a := p.login("demo", "not the password"); a.status != 401 {
		t.Errorf("wrong password: %d", a.status)
	}
	want := []string{
		"session_started", "sign_in_ok", "session_renewed", "session_ended reuse",
		"renewal_refused ended:reuse", "access_after_end", "access_after_end",
		"session_started", "sign_in_ok", "session_ended sign_out", "sign_out", "sign_in_failed wrong_password",
	}
	slices.Sort(want)
	var got []string
	eventually(t, 5*time.Second, "every event is stored", func() bool {
		got = slices.DeleteFunc(p.eventTypes(), func(e string) bool { return e == "session_repeated late" })
		slices.Sort(got)
		return len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	written := p.everything()
	for _, a := range []answer{first, second, third} {
		for _, name := range []string{"access_token", "refresh_token"} {
			if secret := a.text(name); secret == "" || strings.Contains(written, secret) || strings.Contains(written, secret[len(secret)-20:]) {
				t.Errorf("the %s was written somewhere", name)
			}
		}
	}
	if log := strings.Replace(written, "password: "+p.password, "", 1); strings.Contains(log, p.password) || strings.Contains(log, "not the password") {
		t.Error("a password was written somewhere")
	}
	if err := p.stop(); err != nil {
		t.Errorf("orderly stop: %v\n%s", err, p.output())
	}
}

// What one process ends, or withdraws, every other process on the same data
// refuses within a second.
//
// Rows: 93, 118, 140, 143, 186, A33, A61
func TestOtherProcessesRefuseWithinASecond(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data)
	refused := func(what string, access string) {
		t.Helper()
		eventually(t, time.Second, what+" is refused", func() bool { return p.session(access).status == 401 })
	}

	id := func(a answer) string { return a.body["session"].(map[string]any)["id"].(string) }
	ended := p.login("demo", p.password)
	p.pawl("session", "end", id(ended), "--yes")
	refused("a session ended by command", ended.text("access_token"))

	alive := p.login("demo", p.password)
	key := strings.Fields(strings.Split(p.pawl("key", "list"), "\n")[1])[0]
	p.pawl("key", "withdraw", key, "--yes")
	refused("a token of a withdrawn key", alive.text("access_token"))
	if a := p.renew(alive.text("refresh_token")); a.status != 200 {
		t.Errorf("the session of the withdrawn key's token cannot renew: %d %s", a.status, a.raw)
	}

	last := p.login("demo", p.password)
	p.pawl("user", "disable", "demo", "--yes")
	refused("a disabled user", last.text("access_token"))
	if a := p.renew(last.text("refresh_token")); a.text("error") != "invalid_grant" {
		t.Errorf("a disabled user renews: %d %s", a.status, a.raw)
	}
	if a := p.login("demo", p.password); a.status != 401 {
		t.Errorf("a disabled user signs in: %d", a.status)
	}
	p.pawl("user", "enable", "demo")
	if a := p.login("demo", p.password); a.status != 200 {
		t.Errorf("an enabled user cannot sign in: %d", a.status)
	}
}

// After a fence nothing that was issued before is good, in any process.
//
// Rows: 186, A45
func TestFence(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"))
	before := p.login("demo", p.password)
	p.pawl("fence", "--yes")
	eventually(t, time.Second, "the access token is refused", func() bool {
		return p.session(before.text("access_token")).status == 401
	})
	if a := p.renew(before.text("refresh_token")); a.text("error") != "invalid_grant" {
		t.Errorf("a fenced session renews: %d %s", a.status, a.raw)
	}
	// A session that begins within three seconds ends with the others; and until it
	// has the new key, for half a second, the server signs with the old. Who signs
	// in all the time is held up.
	var asked time.Time
	eventually(t, 20*time.Second, "a new session works", func() bool {
		if time.Since(asked) < 500*time.Millisecond {
			return false
		}
		asked = time.Now()
		return p.session(p.login("demo", p.password).text("access_token")).status == 200
	})
	p.pawl("fsck")
}

// Killed again and again while it renews, the server never loses a renewal
// that it acknowledged: a client that goes on with the newest token it was
// given is never refused, and the data is whole each time.
//
// Rows: 115, 252, A96
func TestKilledUnderLoad(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, "--strict", "--renewal-rate", "100000")
	password := p.password
	const clients = 8
	newest := make([]string, clients)
	for i := range newest {
		newest[i] = p.login("demo", password).text("refresh_token")
	}
	var renewed atomic.Int64
	for round := range 5 {
		var wg sync.WaitGroup
		for i := range newest {
			wg.Go(func() {
				for {
					a, err := p.do("POST", "/auth/token", "application/x-www-form-urlencoded", renewal(newest[i]))
					if err != nil {
						return // killed
					}
					if a.status != 200 {
						t.Errorf("round %d: an honest client gets %d %s", round, a.status, a.raw)
						return
					}
					newest[i] = a.text("refresh_token")
					renewed.Add(1)
				}
			})
		}
		until := renewed.Load() + 200
		eventually(t, 20*time.Second, "200 renewals", func() bool { return renewed.Load() >= until || t.Failed() })
		p.kill() // the power goes
		wg.Wait()
		command(t, "fsck", "--data", data)
		p = serve(t, data, "--strict", "--renewal-rate", "100000")
		p.password = password
	}
	for i := range newest {
		if a := p.renew(newest[i]); a.status != 200 {
			t.Errorf("client %d cannot go on: %d %s", i, a.status, a.raw)
		}
	}
}

// Two servers that start first at the same time make one set of keys and both
// serve.
func TestTwoFirstStarts(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	outputs := make([]string, 4)
	var wg sync.WaitGroup
	for i := range outputs {
		wg.Go(func() {
			out, err := exec.Command("pawl", "key", "rotate", "--data", data).CombinedOutput()
			if err != nil {
				outputs[i] = string(out)
			}
		})
	}
	wg.Wait() // without data there is nothing to rotate
	for _, out := range outputs {
		if !strings.Contains(out, "no Pawl data here") {
			t.Errorf("rotating nothing: %q", out)
		}
	}
	var servers [2]*process
	for i := range servers {
		wg.Go(func() { servers[i] = serve(t, data) })
	}
	wg.Wait()
	password := servers[0].password + servers[1].password // one of them made the user
	for _, p := range servers {
		a := p.login("demo", password)
		if a.status != 200 || p.session(a.text("access_token")).status != 200 {
			t.Errorf("sign-in: %d %s", a.status, a.raw)
		}
	}
	if n := strings.Count(command(t, "key", "list", "--data", data), "active"); n != 1 {
		t.Errorf("%d active keys", n)
	}
}

// Who follows the events sees one soon after it happened.
//
// Rows: 236
func TestFollowEvents(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"))
	follow := exec.Command("pawl", "events", "--follow", "--data", p.data)
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { follow.Process.Kill() })
	p.login("demo", "wrong")
	lines, found := bufio.NewScanner(out), false
	for !found && lines.Scan() {
		found = strings.Contains(lines.Text(), "sign_in_failed") && strings.Contains(lines.Text(), "reason=wrong_password")
	}
	if !found || !timer.Stop() {
		t.Error("the event did not show")
	}
	follow.Process.Signal(os.Interrupt)
	if err := follow.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

// Health and metrics are on the operations listener and nowhere else, and the
// routes are not there.
//
// Rows: 197, 247
func TestOperationsListenerIsApart(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"))
	for path, want := range map[string][2]int{ // on the public listener, on the other
		"/healthz": {404, 200}, "/readyz": {404, 200}, "/metrics": {404, 200},
		"/auth/session": {401, 404}, "/.well-known/jwks.json": {200, 404}, "/debug/pprof/": {404, 404},
	} {
		for i, base := range []string{p.base, p.ops} {
			resp, err := client.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want[i] || resp.Header.Get("Server") != "" {
				t.Errorf("%s%s: %s, want %d", base, path, resp.Status, want[i])
			}
		}
	}
}
