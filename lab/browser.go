package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// ErrNoBrowser says that there is no Chromium, and what to do.
var ErrNoBrowser = errors.New("the laboratory needs Chromium; install it (Debian: apt-get install chromium) or name it with --browser")

// browserNames are what Chromium is called.
var browserNames = []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"}

// findBrowser returns the path of a Chromium: the one that is asked for, or the
// first on the PATH.
func findBrowser(path string) (string, error) {
	names := browserNames
	if path != "" {
		names = []string{path}
	}
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", ErrNoBrowser
}

// A browser is one process of Chromium with one profile, the owner's. It finds
// the hosts of the lab, and no others; it takes their certificates by the key
// that they share, so that no authority has to be installed anywhere. Third
// parties get cookies in it, as in a Chrome that nobody has told otherwise:
// Debian's Chromium gives them none, and would stop by itself what a bank must.
type browser struct {
	ctx   context.Context
	close func()
}

func startBrowser(ctx context.Context, path string, n *internet) (*browser, error) {
	profile, err := newProfile()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
		chromedp.WSURLReadTimeout(time.Minute),
		chromedp.WindowSize(800, 600),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test "+n.address+", MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("ignore-certificate-errors-spki-list", n.pin),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to sandbox for root
	}
	allocator, stop := chromedp.NewExecAllocator(ctx, options...)
	tabs, cancel := chromedp.NewContext(allocator)
	if err := chromedp.Do(tabs); err != nil {
		cancel()
		stop()
		os.RemoveAll(profile)
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return &browser{tabs, func() { cancel(); stop(); os.RemoveAll(profile) }}, nil
}

// newProfile makes the folder of a profile in which third parties get cookies.
func newProfile() (string, error) {
	profile, err := os.MkdirTemp("", "pawl-lab-browser-")
	if err != nil {
		return "", fmt.Errorf("profile of the browser: %w", err)
	}
	const preferences = `{"profile":{"cookie_controls_mode":0,"block_third_party_cookies":false}}`
	if err = os.Mkdir(filepath.Join(profile, "Default"), 0o700); err == nil {
		err = os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(preferences), 0o600)
	}
	if err != nil {
		os.RemoveAll(profile)
		return "", fmt.Errorf("profile of the browser: %w", err)
	}
	return profile, nil
}

// A tab is a tab of the owner's browser.
type tab struct {
	stage *stage
	ctx   context.Context
	close func()
}

// tab opens a tab.
func (s *stage) tab() *tab {
	ctx, cancel := chromedp.NewContext(s.browser.ctx)
	// What opens the tab bounds its life, so this has no deadline of its own.
	s.fail(chromedp.Do(ctx))
	t := &tab{s, ctx, cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tabs = append(s.tabs, t)
	return t
}

// do runs steps in the tab.
func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	ctx, cancel := context.WithTimeout(t.ctx, longest)
	defer cancel()
	t.stage.fail(chromedp.Do(ctx, steps...))
}

// visit goes to an address, in the bank if it is only a path.
func (t *tab) visit(address string) {
	if strings.HasPrefix(address, "/") {
		address = t.stage.app + address
	}
	t.do(chromedp.Navigate(address))
}

// eval returns the value of an expression, or of the promise that it is.
func eval[T any](t *tab, expression string) T {
	ctx, cancel := context.WithTimeout(t.ctx, longest)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.stage.fail(fmt.Errorf("%.80s: %w", expression, err))
	}
	return result
}

// await waits until an expression is true; in between the tab may go anywhere.
func (t *tab) await(expression string) {
	if !t.within(longest, expression) {
		t.stage.fail(fmt.Errorf("%s never came true", expression))
	}
}

// within reports whether an expression comes true in that time.
func (t *tab) within(patience time.Duration, expression string) bool {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise)); err == nil && ok {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// click presses what a CSS selector finds, as its user does.
func (t *tab) click(selector string) {
	t.await(painted)
	t.do(chromedp.Click(chromedp.CSS(selector)))
}

// painted: Chromium ignores who clicks on a page before it is seen.
const painted = `document.readyState === "complete" && performance.getEntriesByType("paint").length > 0`

// fill puts text into the field of a name, in place of what is there.
func (t *tab) fill(name, text string) {
	eval[any](t, fmt.Sprintf("{ const f = document.querySelector('[name=%s]:not([type=hidden])'); f.value = %s; f.dispatchEvent(new Event('input', {bubbles: true})) }", name, strconv.Quote(text)))
}

// signIn has a customer sign in at the bank, and waits until the bank greets
// him.
func (t *tab) signIn(name string) {
	t.visit("/")
	t.await(`document.readyState === "complete" && document.querySelector("[name=username]") !== null`)
	t.fill("username", name)
	t.fill("password", password)
	t.click("form:has([name=password]) button:not([type=button])")
	t.await(fmt.Sprintf(`document.readyState === "complete" && document.getElementById("who")?.textContent === %q`, name))
}

// who is whom the bank's page greets once it has asked; empty: nobody.
func (t *tab) who() string {
	return eval[string](t, `document.getElementById("who")?.textContent ?? ""`)
}

// see keeps a picture of the tab for the report.
func (t *tab) see() {
	ctx, cancel := context.WithTimeout(t.ctx, longest)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	t.stage.fail(err)
	t.stage.picture(png)
}
