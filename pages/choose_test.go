package pages_test

import (
	"strings"
	"testing"
)

// Rows: 62, 178
func TestAnInitialPasswordLeadsToChoosingOne(t *testing.T) {
	w := newWorld(t)
	_, initial, err := w.accounts.AddInitial(t.Context(), "eve")
	w.must(err)
	b := w.browser()
	const next = "a new and longer one"
	page := b.post("/auth/signin", "username", "eve", "password", initial, "remember", "1", "return_to", "/app")
	page.want(403, "Choose a password", "Initial password", "New password", "At least 8 characters", "Save and sign in")
	if strings.Contains(page.Body.String(), initial) || len(b.cookies) > 0 {
		t.Error("the page has the password, or the answer a cookie")
	}
	if page.value("username") != "eve" || page.value("return_to") != "/app" || !strings.Contains(page.Body.String(), " checked") || strings.Contains(page.text(), "Error:") {
		t.Errorf("what was typed is lost, or it looks like a failure: %s", page.Body)
	}
	choose := func(password, next string) answer {
		return b.post("/auth/signin", "username", "eve", "password", password, "new_password", next, "return_to", "/app")
	}
	choose(initial, "short").want(400, "Use at least 8 characters.", "Choose a password")
	choose(initial, initial).want(400, "This is the password that you were given.", "Choose a password")
	choose(initial, "").want(422, "Enter a new password.", "Choose a password")
	choose("", next).want(422, "Enter your password.", "Choose a password")
	for _, a := range []answer{choose("wrong", next), choose("wrong", "<b>"+initial)} {
		a.want(403, "The user name or password is wrong.", "Choose a password")
		if strings.Contains(a.Body.String(), initial) {
			t.Error("a password comes back")
		}
	}
	if len(b.cookies) > 0 {
		t.Fatal("signed in")
	}
	a := choose(initial, next)
	a.leads("/auth/signin?check=1&return_to=%2Fapp")
	b.follow(a).leadsOn("/app")

	// Once more, as it was, and by whoever has chosen in another window.
	w.browser().post("/auth/signin", "username", "eve", "password", initial, "new_password", next).want(403, "is wrong.")
	w.browser().post("/auth/signin", "username", "eve", "password", next, "new_password", "a third and longer one").
		want(400, "You have a password of your own.", "Sign in", "!Choose a password")
	w.browser().post("/auth/signin", "username", "eve", "password", next).leads("/auth/signin?check=1")
}

// Rows: 178
func TestChoosingAPasswordIsSaidInEveryLanguage(t *testing.T) {
	w := newWorld(t)
	_, initial, err := w.accounts.AddInitial(t.Context(), "eve")
	w.must(err)
	b := w.browser()
	b.language = "ar"
	b.post("/auth/signin", "username", "eve", "password", initial).want(403, "اختر كلمة مرور", "كلمة المرور الأولية", "!Choose")
}
