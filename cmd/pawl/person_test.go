package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/serviceapi"
)

const canary = "Canary/7.3 (nobody has this browser)"

// loginAs signs the user demo in with a browser that is told apart.
func (p *process) loginAs(agent string) answer {
	p.t.Helper()
	body := fmt.Sprintf(`{"username":"demo","password":%q,"transport":"bearer","client_id":"dev"}`, p.password)
	a := p.must("POST", "/auth/login", "application/json", body, "User-Agent", agent)
	if a.status != 200 {
		p.t.Fatalf("sign-in: %d %s", a.status, a.raw)
	}
	return a
}

// demo returns the id of the user demo.
func (p *process) demo() string {
	p.t.Helper()
	return regexp.MustCompile(`u_[A-Z2-7]+`).FindString(p.pawl("user", "show", "demo"))
}

// stored is what the files of the database hold.
func (p *process) stored() string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.data, "pawl.db*"))
	if err != nil || len(files) == 0 {
		p.t.Fatalf("no database: %v", err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// A user who is deleted while the server runs, in another process, cannot sign
// in again, and no token of theirs is good for longer than a second. Afterwards
// no byte of the database leads to them; what happened is still told.
//
// Rows: 93, 140, 143, 186, 243
func TestDeletedUserIsGoneWithinASecond(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"))
	first, second := p.loginAs(canary), p.loginAs(canary)
	id := p.demo()
	eventually(t, 5*time.Second, "both sign-ins are stored", func() bool { return strings.Count(p.pawl("events"), "sign_in_ok") == 2 })
	document := p.pawl("user", "export", "demo")
	for _, want := range []string{canary, id, `"sign_in_ok"`, `"127.0.0.0/24"`, `"name": "demo"`} {
		if !strings.Contains(document, want) {
			t.Errorf("the export lacks %s:\n%s", want, document)
		}
	}
	for what, secret := range map[string]string{"a hash": "argon2", "an access token": first.text("access_token"),
		"a refresh token": first.text("refresh_token"), "the password": p.password} {
		if strings.Contains(document, secret) {
			t.Errorf("the export has %s in it", what)
		}
	}

	report := p.pawl("user", "delete", "demo", "--yes")
	if a := p.login("demo", p.password); a.status != 401 {
		t.Errorf("signs in at once after the deletion: %d", a.status)
	}
	eventually(t, time.Second, "the access tokens are refused", func() bool {
		return p.session(first.text("access_token")).status == 401 && p.session(second.text("access_token")).status == 401
	})
	if !strings.Contains(report, "1 account, ended 2 sessions, erased 2 and removed 0") {
		t.Errorf("it says %q", report)
	}
	for _, a := range []answer{first, second} {
		if got := p.renew(a.text("refresh_token")); got.text("error") != "invalid_grant" {
			t.Errorf("renews: %d %s", got.status, got.raw)
		}
	}
	list := p.pawl("session", "list", "--ended")
	if strings.Contains(list, "Canary") || strings.Count(list, "disabled") != 2 {
		t.Errorf("the sessions are listed as\n%s", list)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}

	// What the server wrote in the meantime about tokens that it refused.
	p.pawl("user", "delete", "--id", id, "--yes")
	if again := p.pawl("user", "delete", "--id", id, "--yes"); !strings.Contains(again, "0 account, ended 0 sessions, erased 0 and removed 0, made 0 events") {
		t.Errorf("once more, it says %q", again)
	}
	var left personJSON
	if err := json.Unmarshal([]byte(p.pawl("user", "export", "--id", id)), &left); err != nil {
		t.Fatal(err)
	}
	if left.Account != nil || len(left.Sessions) != 0 {
		t.Errorf("left: %+v", left)
	}
	for _, e := range left.Events {
		if e.Type != "user_deleted" || e.Agent != "" || e.Address != "" {
			t.Errorf("left: %+v", e)
		}
	}
	for _, trace := range []string{canary, "demo"} {
		if strings.Contains(p.stored(), trace) {
			t.Errorf("%q is still in the database", trace)
		}
	}
	types := p.eventTypes()
	for _, want := range []string{"sign_in_ok", "session_started", "session_ended disabled", "user_disabled", "user_deleted"} {
		if !slices.Contains(types, want) {
			t.Errorf("the events no longer tell of %s: %v", want, types)
		}
	}
	p.pawl("fsck")
}

// Sign-ins that are under way when the user is deleted leave no token that is
// good, and nothing of the user that a second deletion, by id, does not erase.
//
// Rows: 140, 243
func TestSignInsMeetADeletion(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"))
	id := p.demo()
	const clients = 4
	var got [clients][]answer
	var signedIn atomic.Int64
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for range 200 {
				a := p.login("demo", p.password)
				if a.status != 200 {
					if a.status != 401 {
						t.Errorf("sign-in: %d %s", a.status, a.raw)
					}
					return
				}
				signedIn.Add(1)
				got[i] = append(got[i], a)
			}
			t.Error("the deletion was never noticed")
		})
	}
	eventually(t, 20*time.Second, "some sign-ins", func() bool { return signedIn.Load() >= clients })
	p.pawl("user", "delete", "demo", "--yes")
	wg.Wait()
	eventually(t, time.Second, "every access token is refused", func() bool {
		for _, a := range slices.Concat(got[:]...) {
			if p.session(a.text("access_token")).status != 401 {
				return false
			}
		}
		return true
	})
	for _, a := range slices.Concat(got[:]...) {
		if r := p.renew(a.text("refresh_token")); r.text("error") != "invalid_grant" {
			t.Errorf("renews: %d %s", r.status, r.raw)
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p.pawl("user", "delete", "--id", id, "--yes")
	var left personJSON
	if err := json.Unmarshal([]byte(p.pawl("user", "export", "--id", id)), &left); err != nil {
		t.Fatal(err)
	}
	if left.Account != nil || len(left.Sessions) != 0 || slices.ContainsFunc(left.Events, func(e serviceapi.EventDocument) bool { return e.Type != "user_deleted" }) {
		t.Errorf("left: %+v", left)
	}
	p.pawl("fsck")
}

// A deletion that is killed anywhere is finished by the same command: it says
// that it deleted, or, if nothing was left to do, that there is no such user.
//
// Rows: 115, 243
func TestKilledDeletionIsRepeated(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"))
	for range 20 {
		p.loginAs(canary)
	}
	id := p.demo()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for wait := 5 * time.Millisecond; ; wait += wait/5 + time.Millisecond {
		cmd := exec.Command("pawl", "user", "delete", "demo", "--yes", "--data", p.data)
		out := &strings.Builder{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(wait, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if cmd.ProcessState.Exited() { // by itself
			if err != nil && !strings.Contains(out.String(), "no such user") {
				t.Fatalf("after %d kills: %v\n%s", kills, err, out)
			}
			break
		}
		kills++
		p.pawl("fsck")
	}
	t.Logf("%d kills", kills)
	var left personJSON
	if err := json.Unmarshal([]byte(p.pawl("user", "export", "--id", id)), &left); err != nil {
		t.Fatal(err)
	}
	if left.Account != nil || len(left.Sessions) != 0 || len(left.Events) == 0 {
		t.Errorf("left: %+v", left)
	}
	for _, e := range left.Events {
		if e.Type != "user_deleted" {
			t.Errorf("left: %+v", e)
		}
	}
	if strings.Contains(p.stored(), canary) || strings.Contains(p.pawl("user", "list"), "demo") {
		t.Error("something of the user is left")
	}
	p.pawl("fsck")
}

// Every member of the document that is exported is described, and no other.
//
// Rows: 243
func TestExportIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### What an export holds")
	section, _, _ = strings.Cut(section, "\n## ")
	var described []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			described = append(described, name[1])
		}
	}
	members := members(reflect.TypeFor[personJSON](), "")
	slices.Sort(described)
	slices.Sort(members)
	if diff := cmp.Diff(members, described); diff != "" || len(members) < 30 {
		t.Errorf("in the document, and described (-/+):\n%s", diff)
	}
}

func members(of reflect.Type, prefix string) (names []string) {
	for f := range of.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch inner := f.Type; {
		case inner.Kind() == reflect.Pointer:
			names = append(names, members(inner.Elem(), prefix+tag+".")...)
		case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct:
			names = append(names, members(inner.Elem(), prefix+tag+"[].")...)
		default:
			names = append(names, prefix+tag)
		}
	}
	return names
}
