package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var initialLine = regexp.MustCompile(`(?m)^initial password: (\S+)$`)

// What the operator is shown lets the user choose, beside a running server, and
// is written nowhere.
//
// Rows: 178, 238
func TestTheOperatorKnowsNoPasswordThatCounts(t *testing.T) {
	p := serve(t, filepath.Join(t.TempDir(), "data"))
	show := func(args ...string) string {
		t.Helper()
		found := initialLine.FindStringSubmatch(p.pawl(args...))
		if found == nil {
			t.Fatalf("pawl %s shows no initial password", strings.Join(args, " "))
		}
		return found[1]
	}
	choose := func(initial, next string) answer {
		t.Helper()
		body, err := json.Marshal(map[string]string{"username": "ada", "password": initial, "new_password": next, "transport": "bearer", "client_id": "dev"})
		if err != nil {
			t.Fatal(err)
		}
		return p.must("POST", "/auth/login", "application/json", string(body))
	}
	const own, another = "a password of her own", "another one of her own"
	first := show("user", "add", "ada")
	if a := p.login("ada", first); a.status != 403 || a.text("code") != "password_change_required" {
		t.Errorf("sign-in with the initial password: %d %s", a.status, a.raw)
	}
	if a := choose(first, own); a.status != 200 {
		t.Fatalf("choosing: %d %s", a.status, a.raw)
	}
	session := p.login("ada", own)
	if session.status != 200 {
		t.Fatalf("sign-in: %d %s", session.status, session.raw)
	}
	if a := p.login("ada", first); a.status != 401 {
		t.Errorf("the initial password stays: %d", a.status)
	}

	second := show("user", "password", "ada", "--yes")
	if a := p.login("ada", own); a.status != 401 {
		t.Errorf("the password that was replaced: %d", a.status)
	}
	if a := p.renew(session.text("refresh_token")); a.text("error") != "invalid_grant" {
		t.Errorf("the session of the password that was replaced: %d %s", a.status, a.raw)
	}
	if a := choose(second, another); a.status != 200 {
		t.Errorf("choosing again: %d %s", a.status, a.raw)
	}
	written := p.everything()
	for _, secret := range []string{first, second, own, another} {
		if strings.Contains(written, secret) {
			t.Error("a password was written somewhere")
		}
	}
}
