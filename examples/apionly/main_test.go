package main

import (
	"net/url"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/examples/internal/visitor"
)

// tokens are what a program holds.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func tokensOf(t *testing.T, a visitor.Answer) (out tokens) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil || out.Access == "" || out.Refresh == "" {
		t.Fatalf("no tokens: %d %s %v", a.Status, a.Body, err)
	}
	return out
}

// The life of a program's tokens: log in, call, renew, call, sign out.
func TestAPIOnly(t *testing.T) {
	v := visitor.New(t, options, site)
	v.Want("a call without a token", v.Do("GET", "/notes", ""), 401, "login_required")
	v.Want("a navigation", v.Open("/notes"), 401, "login_required")
	v.Want("a page", v.Open("/auth/signin"), 404, "not_found")
	login := `{"username":"ada","password":"` + visitor.Password + `","transport":"bearer","client_id":"notes-cli"}`
	first := tokensOf(t, v.Do("POST", "/auth/login", login, "Content-Type", "application/json"))
	v.Want("a call", v.Do("GET", "/notes", "", "Authorization", "Bearer "+first.Access), 200, `"notes_of":"u_`)

	form := func(path string, pairs url.Values) visitor.Answer {
		pairs.Set("client_id", "notes-cli")
		return v.Do("POST", path, pairs.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	second := tokensOf(t, form("/auth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}}))
	v.Want("a call with the new token", v.Do("GET", "/notes", "", "Authorization", "Bearer "+second.Access), 200, "notes_of")
	v.Want("signing out", form("/auth/revoke", url.Values{"token": {second.Refresh}}), 200, "")
	v.Want("a call afterwards", v.Do("GET", "/notes", "", "Authorization", "Bearer "+second.Access), 401, "login_required")
}
