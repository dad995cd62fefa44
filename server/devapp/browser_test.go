package devapp_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
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
		missing(t, "chromium", "apt-get install chromium")
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
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise)); err == nil && ok {
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
	b.await(`document.readyState === "complete" && document.querySelector("[name=password]") !== null`)
	b.do(chromedp.SendKeys(chromedp.CSS("[name=username]"), "demo"), chromedp.SendKeys(chromedp.CSS("[name=password]"), password))
	b.click("main button[type=submit]")
	b.await(`document.getElementById("username") !== null && document.getElementById("access").textContent !== "–"`)
}

// judge looks at the page: everybody must be able to use it, as far as a
// program can judge.
func (b *tab) judge(name string) {
	b.t.Helper()
	axe, err := os.ReadFile(tool(b.t, "axe-core/axe.min.js"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.look(name, func(where string) {
		if !eval[bool](b, "'axe' in window") {
			eval[any](b, string(axe)+"\n;0")
		}
		for _, fault := range eval[[]string](b, judgement) {
			b.t.Errorf("%s: %s", where, fault)
		}
	})
}

// look does something in both schemes at both widths, where the page must not
// be wider than the window, and takes pictures.
func (b *tab) look(name string, do func(where string)) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1280} {
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
			call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1})
			if wide := eval[float64](b, "document.documentElement.scrollWidth"); wide > float64(width) {
				b.t.Errorf("%s, %s: at %d pixels the page is %v wide", name, scheme, width, wide)
			}
			do(fmt.Sprintf("%s, %s, %d pixels", name, scheme, width))
			if *screenshots == "" {
				continue
			}
			picture := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: new(true)})
			file := filepath.Join(*screenshots, fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
			if err := os.WriteFile(file, picture.Data, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// judgement is what axe finds wrong by the rules of WCAG 2.2, levels A and AA,
// and by good practice. What it cannot decide about a page counts as wrong,
// but for the numbers in the picture, whose ground it does not see; what they
// say is in the text as well.
const judgement = `axe.run({ include: [["html"]], exclude: [["#ratchet text"]] }, {
	runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
	resultTypes: ["violations", "incomplete"],
}).then((found) => {
	if (found.passes.length < 10) return ["only " + found.passes.length + " rules applied"];
	return [...found.violations, ...found.incomplete].flatMap((rule) =>
		rule.nodes.map((node) => rule.id + " at " + node.target.join(" ") + ": " + node.failureSummary));
})`

// npm is where the tools are that judge pages.
const npm = "../../internal/browsertest/npm"

func tool(t *testing.T, path string) string {
	t.Helper()
	path = filepath.Join(npm, "node_modules", path)
	if _, err := os.Stat(path); err != nil {
		missing(t, "a tool from npm", "run: (cd internal/browsertest/npm && npm ci --ignore-scripts)")
	}
	return path
}

// missing ends a test for which something is not installed: it is left out,
// but never where all tests count.
func missing(t *testing.T, what, how string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; %s", what, how)
	}
	t.Skipf("%s is missing; %s", what, how)
}
