package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab is one tab of a browser with a profile of its own. When the test ends,
// it must have asked nobody but the test's sites, have violated no policy, and
// have thrown nothing, unless the test has said otherwise.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site *site

	provoked bool // by the test: violations, and complaints of the browser

	mu         sync.Mutex
	requests   []string // addresses, in order
	violations []audits.ContentSecurityPolicyIssueDetails
	faults     []string // exceptions and errors of scripts
}

// newTab opens a tab in the shared browser.
func (s *site) newTab(t *testing.T) *tab {
	t.Helper()
	return s.newTabIn(t, sharedBrowser(t), chromedp.WithNewBrowserContext())
}

func (s *site) newTabIn(t *testing.T, b *browser, how ...chromedp.ContextOption) *tab {
	t.Helper()
	tab := &tab{t: t, site: s}
	ctx, cancel := chromedp.NewContext(b.ctx, append(how, chromedp.WithListener(tab.listen))...)
	tab.ctx = ctx
	t.Cleanup(cancel)
	// What opens the tab bounds its life, so this has no deadline of its own.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	call(tab, audits.Enable, cdp.Empty{})
	t.Cleanup(tab.check)
	return tab
}

// listen notes what happens. It must not wait.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *audits.EventIssueAdded:
		if d := e.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			b.violations = append(b.violations, *d.ContentSecurityPolicyIssueDetails)
		}
	case *runtime.EventExceptionThrown:
		b.fault(e.ExceptionDetails.URL, "exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		// The log of the network has every refusal, which tests provoke.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork && e.Entry.Source != log.EntrySourceSecurity {
			b.fault(e.Entry.URL, fmt.Sprint(e.Entry.Source, ": ", e.Entry.Text))
		}
	}
}

// fault notes an error on a page of ours.
func (b *tab) fault(address, text string) {
	if !strings.HasPrefix(address, b.site.stranger.origin) && !strings.HasPrefix(address, b.site.trusted.origin) {
		b.faults = append(b.faults, address+": "+text)
	}
}

// check is what holds for every tab of every test.
func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, address := range b.requests {
		u, err := url.Parse(address)
		if err != nil {
			b.t.Errorf("asked for %q", address)
			continue
		}
		own := u.Scheme + "://" + u.Host
		if u.Scheme != "data" && address != "about:blank" && own != b.site.origin && own != b.site.stranger.origin && own != b.site.trusted.origin {
			b.t.Errorf("a page contacted %s", address)
		}
	}
	if b.provoked {
		return
	}
	for _, v := range b.violations {
		b.t.Errorf("a page violated its policy: %s blocked %q", v.ViolatedDirective, v.BlockedURL)
	}
	for _, fault := range b.faults {
		b.t.Errorf("in the browser: %s", fault)
	}
}

// asked returns the addresses asked for so far.
func (b *tab) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

func (b *tab) violated() []audits.ContentSecurityPolicyIssueDetails {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.violations)
}

// do runs steps, and ends the test if one fails.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v, at %s", err, b.whereabouts())
	}
}

// call runs one command of the protocol.
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

// eval returns the value of an expression, or of the promise that it is.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.80s: %v, at %s", expression, err, b.whereabouts())
	}
	return result
}

// read is [eval] of an expression that changes nothing: it is asked again if
// the tab went on to another page meanwhile.
func read[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
		if err == nil {
			return result
		}
		if _, refused := errors.AsType[*cdproto.Error](err); !refused || ctx.Err() != nil {
			b.t.Fatalf("%.80s: %v, at %s", expression, err, b.whereabouts())
		}
	}
}

// whereabouts says where the tab is, for the report of a failure.
func (b *tab) whereabouts() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	address, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return "an unknown place"
	}
	return address
}

// open goes to a path of the site and returns the status of what it got.
func (b *tab) open(path string) int {
	b.t.Helper()
	return b.visit(b.site.origin + path)
}

func (b *tab) visit(address string) int {
	b.t.Helper()
	return b.leads(chromedp.Navigate(address))
}

// leads runs steps that lead to another page and returns its status.
func (b *tab) leads(steps ...chromedp.Action[chromedp.Void]) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		b.t.Fatalf("the next page: %v, at %s", err, b.whereabouts())
	}
	return int(response.Status)
}

// click presses what a CSS selector finds; follow waits for the page that it
// leads to and returns its status.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.await(painted)
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) follow(selector string) int {
	b.t.Helper()
	b.await(painted)
	return b.leads(chromedp.Click(chromedp.CSS(selector)))
}

// painted: chromium ignores who clicks on a page before it is seen.
const painted = `document.readyState === "complete" && performance.getEntriesByType("paint").length > 0`

// fill types into the field of a name, in place of what is there.
func (b *tab) fill(name, text string) {
	b.t.Helper()
	selector := fmt.Sprintf("main [name=%q]:not([type=hidden])", name)
	eval[any](b, fmt.Sprintf("document.querySelector(%q).select()", selector))
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press presses keys where the focus is.
func (b *tab) press(text string, how ...chromedp.KeyOption) {
	b.t.Helper()
	b.do(keys(text, how...))
}

// keys presses keys, as a step.
func keys(text string, how ...chromedp.KeyOption) chromedp.Action[chromedp.Void] {
	return chromedp.KeyEvent(text, how...)
}

// arrive waits until the tab is at a path (with its query, but for the receipt
// of what was done) and has loaded it.
func (b *tab) arrive(path string) {
	b.t.Helper()
	b.await(fmt.Sprintf("location.origin + location.pathname + location.search.replace(/&receipt=[^&]*/, '') === %q && document.readyState === 'complete'", b.site.origin+path))
}

// await waits until an expression is true. In between the tab may go anywhere.
func (b *tab) await(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise)); err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("%s never came true; at %s:\n%s", expression, b.whereabouts(), b.lastWords())
		case <-tick.C:
		}
	}
}

func (b *tab) lastWords() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return text
}

// path is where the tab is, with the query.
func (b *tab) path() string {
	b.t.Helper()
	return read[string](b, "location.pathname + location.search")
}

// text is what a person can read.
func (b *tab) text() string {
	b.t.Helper()
	return read[string](b, "document.body.innerText")
}

// has reports whether the page has what a CSS selector finds.
func (b *tab) has(selector string) bool {
	b.t.Helper()
	return eval[bool](b, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// withoutScript turns the scripts of pages off, as their user can.
func (b *tab) withoutScript() *tab {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return b
}

func (b *tab) withScript() {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
}

// in lets a part of a test report as itself, until the returned function is
// called.
func (b *tab) in(t *testing.T) func() {
	whole := b.t
	b.t = t
	return func() { b.t = whole }
}

// reads sets the language of the browser.
func (b *tab) reads(language string) {
	b.t.Helper()
	agent := eval[string](b, "navigator.userAgent")
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: language})
}

// look sets the scheme and the width of the window.
func (b *tab) look(scheme string, width int64) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1})
}

// cookies returns our cookies that the browser holds, by name.
func (b *tab) cookies() map[string]*network.Cookie {
	b.t.Helper()
	out := make(map[string]*network.Cookie)
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{b.site.origin + "/auth/"}}).Cookies {
		out[c.Name] = c
	}
	return out
}

// signIn signs in by the page, and arrives at home.
func (b *tab) signIn(name string) {
	b.t.Helper()
	b.signInWith(name, password)
	if !strings.Contains(b.text(), private) {
		b.t.Fatalf("signed in, but home says %q", b.text())
	}
}

func (b *tab) signInWith(name, word string) {
	b.t.Helper()
	b.open("/auth/signin")
	b.fill("username", name)
	b.fill("password", word)
	b.follow("main button[type=submit]")
	b.arrive("/")
}
