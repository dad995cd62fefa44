package devapp_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"github.com/pawlauth/pawl/session"
)

// In a real browser: no place that script can look at holds a token, the wheel
// turns, and the replay of the previous token stops it.
//
// Rows: 3, A1
func TestNewcomerInABrowser(t *testing.T) {
	s := newSite(t, strict(t))
	b := newTab(t, s)
	b.open("/")
	b.judge("stranger")
	b.signIn()
	b.judge("signed-in")

	b.click("#renew")
	b.await(`document.getElementById("generation").textContent === "2"`)
	b.await(`document.getElementById("outcome-title").textContent.includes("generation 2")`)
	b.judge("renewed")

	b.click("#try")
	b.await(`!document.getElementById("verdict").hidden`)
	if verdict := b.text("verdict-title"); !strings.HasSuffix(verdict, " places, no token.") {
		t.Errorf("%s\n%s", verdict, b.text("tries"))
	}
	if n := eval[float64](b, `document.querySelectorAll("#tries li").length`); n < 15 {
		t.Errorf("only %v places were looked at", n)
	}
	b.await(`document.getElementById("generation").textContent === "3"`) // one of the places is a renewal
	b.judge("tried")

	b.click("#replay")
	b.await(`document.querySelector("main.ended") !== null`)
	for _, part := range []string{"generation 2 came", "generation 3 is in use", "reason reuse", "(401)"} {
		if !strings.Contains(b.text("outcome-text"), part) {
			t.Errorf("the alarm does not say %q: %s", part, b.text("outcome-text"))
		}
	}
	b.judge("theft")
}

// Without --strict the page says why nothing turned.
func TestRepeatIsExplained(t *testing.T) {
	b := newTab(t, newSite(t, session.Policy{}))
	b.signIn()
	b.click("#renew")
	b.await(`document.getElementById("outcome-title").textContent.includes("still generation 1")`)
	if text := b.text("outcome-text"); !strings.Contains(text, "--strict") {
		t.Errorf("it says %q", text)
	}
	if !eval[bool](b, `document.getElementById("replay").disabled`) {
		t.Error("a replay is offered without a previous token")
	}
	b.judge("repeated")
}

// Without script a user sees who is signed in, what is missing, and can sign
// out.
func TestPageWithoutScript(t *testing.T) {
	b := newTab(t, newSite(t, strict(t)))
	b.signIn()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open("/")
	if text := eval[string](b, "document.body.innerText"); !strings.Contains(text, "demo") || !strings.Contains(text, "Without JavaScript") {
		t.Errorf("it says %q", text)
	}
	b.look("without-script", func(string) {})
	b.click(`form[action="/auth/signout"] button`)
	b.await(`location.pathname === "/auth/signed-out"`)
}

// An access token that has expired is renewed on the way to the page, by the
// renewal page, and the wheel has turned.
func TestExpiredAccessIsRenewedOnTheWay(t *testing.T) {
	policy := strict(t)
	policy.AccessTTL = time.Second
	s := newSite(t, policy)
	b := newTab(t, s)
	b.signIn()
	b.await(`fetch("/dev/state", { cache: "no-store" }).then((answer) => answer.status === 401)`) // after the leeway
	b.open("/")
	b.await(`location.pathname === "/" && document.getElementById("generation") !== null`)
	if got := b.text("generation"); got != "2" {
		t.Errorf("generation %s after the renewal page", got)
	}
}

// What is served is HTML by the rules.
func TestPageIsValidHTML(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node", "apt-get install nodejs")
	}
	s := newSite(t, strict(t))
	dir := t.TempDir()
	write := func(name, html string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(html), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("stranger.html", s.open("/").body)
	s.signIn()
	write("signed-in.html", s.open("/").body)
	validate := func(names ...string) ([]byte, error) {
		arguments := []string{tool(t, "html-validate/bin/html-validate.mjs"), "--config", npm + "/.htmlvalidate.json"}
		for _, name := range names {
			arguments = append(arguments, filepath.Join(dir, name))
		}
		return exec.CommandContext(t.Context(), node, arguments...).CombinedOutput()
	}
	if out, err := validate("stranger.html", "signed-in.html"); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	write("bad.html", `<!DOCTYPE html><html lang="en"><head><title>T</title></head><body><p><div></p></body></html>`)
	if _, err := validate("bad.html"); err == nil {
		t.Error("nothing is wrong with a bad page")
	}
}
