package devapp_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/pawlauth/pawl/session"
)

var screenshots = flag.String("screenshots", "", "directory to write pictures of the page into")

// patience bounds every single thing that a test waits for.
const patience = 20 * time.Second

// A tab is one tab of a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context
	s   *site
}

func newTab(t *testing.T, s *site) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is missing; apt-get install chromium")
		}
		t.Skip("chromium is missing; apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("no-pings", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // chromium refuses to sandbox for root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return &tab{t, ctx, s}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.80s: %v", expression, err)
	}
	return result
}

// await waits until an expression is true, whatever page the tab is at.
func (b *tab) await(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && ok {
			return
		}
		if ctx.Err() != nil {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + document.body.innerText"))
			b.t.Fatalf("%s never came true at %s", expression, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.s.origin + path))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) text(id string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf("document.getElementById(%q).textContent", id))
}

// signIn goes the way of a newcomer, from the page for strangers.
func (b *tab) signIn() {
	b.t.Helper()
	b.open("/")
	b.click(`a[href="/auth/signin"]`)
	b.await(`document.querySelector("[name=password]") !== null`)
	b.do(chromedp.SendKeys(chromedp.CSS("[name=username]"), "demo"), chromedp.SendKeys(chromedp.CSS("[name=password]"), password))
	b.click("main button[type=submit]")
	b.await(`document.getElementById("username") !== null && document.getElementById("access").textContent.includes(":")`)
}

// shoot takes the picture of the whole page in both schemes at both widths.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1280} {
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
			call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1})
			if wide := eval[float64](b, "document.documentElement.scrollWidth"); wide > float64(width) {
				b.t.Errorf("%s: at %d pixels the page is %v wide", name, width, wide)
			}
			picture := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: new(true)})
			file := filepath.Join(*screenshots, fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
			if err := os.WriteFile(file, picture.Data, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// In a real browser: no place that script can look at holds a token, the wheel
// turns, and the replay of the previous token stops it.
func TestNewcomerInABrowser(t *testing.T) {
	s := newSite(t, strict(t))
	b := newTab(t, s)
	b.open("/")
	b.shoot("stranger")
	b.signIn()
	b.shoot("signed-in")

	b.click("#renew")
	b.await(`document.getElementById("generation").textContent === "2"`)
	b.await(`document.getElementById("outcome-title").textContent.includes("generation 2")`)
	b.shoot("renewed")

	b.click("#try")
	b.await(`!document.getElementById("verdict").hidden`)
	if verdict := b.text("verdict-title"); !strings.HasSuffix(verdict, " places, no token.") {
		t.Errorf("%s\n%s", verdict, b.text("tries"))
	}
	if n := eval[float64](b, `document.querySelectorAll("#tries li").length`); n < 15 {
		t.Errorf("only %v places were looked at", n)
	}
	b.await(`document.getElementById("generation").textContent === "3"`) // one of the places is a renewal
	b.shoot("tried")

	b.click("#replay")
	b.await(`document.querySelector("main.ended") !== null`)
	for _, part := range []string{"generation 2 came", "generation 3 is in use", "reason reuse", "(401)"} {
		if !strings.Contains(b.text("outcome-text"), part) {
			t.Errorf("the alarm does not say %q: %s", part, b.text("outcome-text"))
		}
	}
	b.shoot("theft")
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
	b.shoot("repeated")
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
	b.shoot("without-script")
	b.click(`form[action="/auth/signout"] button`)
	b.await(`location.pathname === "/auth/signed-out"`)
}
