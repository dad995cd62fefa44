package main

import (
	"os"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/examples/internal/visitor"
)

// What a newcomer does: open the page, be sent to sign in, make an account,
// come back, sign out.
func TestQuickstart(t *testing.T) {
	v := visitor.New(t, options, site)
	v.Want("the application, to a stranger", v.Open("/"), 303, "/auth/signin")
	v.Want("the page to sign up", v.Open("/auth/signup"), 200, "<form")
	v.Want("signing up", v.Submit("/auth/signup", "username", "grace", "password", "nanoseconds of wire"), 303, "/")
	v.Want("the application, to a user", v.Open("/"), 200, "Hello, u_")
	v.Want("signing out", v.Submit("/auth/signout"), 303, "/auth/signed-out")
	v.Want("the application afterwards", v.Open("/"), 303, "/auth/signin")
	v.Want("signing in again", v.Submit("/auth/signin", "username", "grace", "password", "nanoseconds of wire"), 303, "/")
	v.Want("the application again", v.Open("/"), 200, "Hello, u_")
}

func TestQuickstartIsShort(t *testing.T) {
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 40 {
		t.Errorf("main.go has %d lines, at most 40", n)
	}
}
