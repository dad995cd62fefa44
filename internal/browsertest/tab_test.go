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

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json"
)

// A tab is one tab of a browser. When the test ends, it must have asked nobody
// but the test's sites, have violated no policy, and have thrown nothing,
// unless the test has said otherwise.
type tab struct {
	t       *testing.T
	browser *browser
	profile string
	driver  driver
	close   func()
	site    *site

	provoked bool // by the test: violations, and complaints of the browser

	mu         sync.Mutex
	requests   []string // addresses, in order
	violations []violation
	faults     []fault
}

// newTab opens a tab with a profile of its own, as a private window is.
func (s *site) newTab(t *testing.T, in *browser) *tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	profile, err := in.engine.newProfile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		in.engine.removeProfile(ctx, profile) // or the process has gone
	})
	return s.newTabOf(t, in, profile)
}

// newKeptTab opens a tab of the profile that is kept in the folder of the
// process.
func (s *site) newKeptTab(t *testing.T, in *browser) *tab {
	t.Helper()
	return s.newTabOf(t, in, "")
}

// another opens another tab of the same profile.
func (b *tab) another() *tab {
	b.t.Helper()
	return b.site.newTabOf(b.t, b.browser, b.profile)
}

func (s *site) newTabOf(t *testing.T, in *browser, profile string) *tab {
	t.Helper()
	tab := &tab{t: t, browser: in, profile: profile, site: s}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d, done, err := in.engine.open(ctx, profile, tab.notice)
	if err != nil {
		t.Fatalf("open a tab in %s: %v", in.kind.name, err)
	}
	tab.driver, tab.close = d, sync.OnceFunc(done)
	t.Cleanup(tab.check)
	t.Cleanup(tab.close)
	return tab
}

// notice notes what happens. It does not wait.
func (b *tab) notice(what any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := what.(type) {
	case requested:
		b.requests = append(b.requests, string(e))
	case violation:
		b.violations = append(b.violations, e)
	case fault: // on a page of ours
		if e.page == "" || strings.HasPrefix(e.page, b.site.origin) {
			b.faults = append(b.faults, e)
		}
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
		if u.Scheme != "data" && address != "about:blank" && !slices.Contains(b.site.origins(), u.Scheme+"://"+u.Host) {
			b.t.Errorf("a page contacted %s", address)
		}
	}
	if b.provoked {
		return
	}
	for _, v := range b.violations {
		b.t.Errorf("a page violated its policy: %s blocked %q", v.directive, v.blocked)
	}
	for _, fault := range b.faults {
		b.t.Errorf("in the browser: %s: %s", fault.page, fault.text)
	}
}

// asked returns the addresses asked for so far.
func (b *tab) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

func (b *tab) violated() []violation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.violations)
}

// do has a hand do something.
func (b *tab) do(a action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.driver.act(ctx, a); err != nil {
		b.t.Fatalf("%v, at %s", err, b.whereabouts())
	}
}

// set sets one thing about the tab, see [driver].
func (b *tab) set(setting any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.driver.set(ctx, setting); err != nil {
		b.t.Fatalf("set %T: %v", setting, err)
	}
}

// chromium is the context with which chromedp drives the tab. The test is one
// of chromium alone.
func (b *tab) chromium() context.Context {
	b.t.Helper()
	c, ok := b.driver.(*chromiumTab)
	if !ok {
		b.t.Fatalf("%s does not speak the protocol of chromium", b.browser.kind.name)
	}
	return c.ctx
}

// call runs one command of the protocol of chromium.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.chromium(), patience)
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result, err := evaluate[T](ctx, b, expression)
	if err != nil {
		b.t.Fatalf("%.80s: %v, at %s", expression, err, b.whereabouts())
	}
	return result
}

func evaluate[T any](ctx context.Context, b *tab, expression string) (T, error) {
	var result T
	value, err := b.driver.evaluate(ctx, expression)
	if err != nil {
		return result, err
	}
	return result, json.Unmarshal(value, &result)
}

// read is [eval] of an expression that changes nothing: it is asked again if
// the tab went on to another page meanwhile.
func read[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		result, err := evaluate[T](ctx, b, expression)
		if err == nil {
			return result
		}
		if _, threw := errors.AsType[thrown](err); threw || ctx.Err() != nil {
			b.t.Fatalf("%.80s: %v, at %s", expression, err, b.whereabouts())
		}
	}
}

// whereabouts says where the tab is, for the report of a failure.
func (b *tab) whereabouts() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	address, err := evaluate[string](ctx, b, "location.href")
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
	return b.leads(func(ctx context.Context) error { return b.driver.navigate(ctx, address) })
}

// leads does what leads to another page, waits until that has loaded, and
// returns its status.
func (b *tab) leads(step func(context.Context) error) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	was := read[float64](b, "performance.timeOrigin")
	if err := step(ctx); err != nil {
		b.t.Fatalf("to the next page: %v, at %s", err, b.whereabouts())
	}
	status := -1
	// Between two sites Firefox may show an empty page for a moment.
	b.until(fmt.Sprintf("no page came after that of %v", was), func(ctx context.Context) bool {
		var err error
		status, err = evaluate[int](ctx, b, fmt.Sprintf(`performance.timeOrigin === %v || document.readyState !== "complete" || location.href === "about:blank" ? -1
			: performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0`, was))
		return err == nil && status >= 0
	})
	return status
}

// enter presses a key that leads to another page, and returns its status.
func (b *tab) enter(keys string) int {
	b.t.Helper()
	return b.leads(func(ctx context.Context) error { return b.driver.act(ctx, action{keys: keys}) })
}

// back goes to the page before. It does not wait for it.
func (b *tab) back() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// The page may be gone before it answers. Timers need scripting.
	if _, err := b.driver.evaluate(ctx, "history.back()"); err != nil {
		if _, threw := errors.AsType[thrown](err); threw || ctx.Err() != nil {
			b.t.Fatalf("back: %v", err)
		}
	}
}

// click presses what a CSS selector finds; follow waits for the page that it
// leads to and returns its status.
func (b *tab) click(selector string) {
	b.t.Helper()
	x, y := b.middle(selector)
	b.clickAt(x, y)
}

func (b *tab) follow(selector string) int {
	b.t.Helper()
	x, y := b.middle(selector)
	return b.leads(func(ctx context.Context) error { return b.driver.act(ctx, action{click: true, x: x, y: y}) })
}

// clickAt clicks at a point, whether or not the page is about to change.
func (b *tab) clickAt(x, y float64) {
	b.t.Helper()
	b.do(action{click: true, x: x, y: y})
}

// painted: chromium ignores who clicks on a page before it is seen.
const painted = `document.readyState === "complete" && performance.getEntriesByType("paint").length > 0`

// middle is where an element is, once the page is seen and it is in sight with
// nothing before it.
func (b *tab) middle(selector string) (x, y float64) {
	b.t.Helper()
	var at []float64
	b.until(selector+" is nowhere to be clicked", func(ctx context.Context) bool {
		var err error
		at, err = evaluate[[]float64](ctx, b, fmt.Sprintf(`(() => {
			const e = document.querySelector(%q);
			if (!e || !(%s)) return null;
			e.scrollIntoView({ block: "center", behavior: "instant" });
			const box = e.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
			const seen = document.elementFromPoint(x, y);
			return seen && (e.contains(seen) || seen.contains(e)) ? [x, y] : null;
		})()`, selector, painted))
		return err == nil && len(at) == 2
	})
	return at[0], at[1]
}

// fill types into the field of a name, in place of what is there.
func (b *tab) fill(name, text string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field?.select();
		return field !== null && document.activeElement === field;
	})()`, fmt.Sprintf("main [name=%q]:not([type=hidden])", name)))
	b.press(text)
}

// press presses keys where the focus is.
func (b *tab) press(text string) {
	b.t.Helper()
	b.do(action{keys: text})
}

// edit presses Ctrl and a key, which is an editing command.
func (b *tab) edit(key, command string) {
	b.t.Helper()
	b.do(action{keys: key, ctrl: true, command: command})
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
	b.until(expression+" never came true", func(ctx context.Context) bool {
		ok, err := evaluate[bool](ctx, b, expression)
		return err == nil && ok
	})
}

// until waits until a condition is met.
func (b *tab) until(otherwise string, met func(context.Context) bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !met(ctx) {
		select {
		case <-ctx.Done():
			b.t.Fatalf("%s; at %s:\n%s", otherwise, b.whereabouts(), b.lastWords())
		case <-tick.C:
		}
	}
}

func (b *tab) lastWords() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	text, _ := evaluate[string](ctx, b, "document.body.innerText")
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
	b.set(scripting(false))
	return b
}

func (b *tab) withScript() {
	b.t.Helper()
	b.set(scripting(true))
}

// in lets a part of a test report as itself, until the returned function is
// called.
func (b *tab) in(t *testing.T) func() {
	whole := b.t
	b.t = t
	return func() { b.t = whole }
}

// look sets the scheme and the width of the window.
func (b *tab) look(scheme string, width int64) {
	b.t.Helper()
	b.set(view{scheme, width, 800})
}

// jar returns all cookies of the profile.
func (b *tab) jar() []cookie {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	jar, err := b.driver.cookies(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return jar
}

// cookies returns those that the application's host gets, by name.
func (b *tab) cookies() map[string]*cookie {
	b.t.Helper()
	out := make(map[string]*cookie)
	for _, c := range b.jar() {
		if host := b.site.host(); c.Domain == host || strings.HasPrefix(c.Domain, ".") && strings.HasSuffix("."+host, c.Domain) {
			out[c.Name] = &c
		}
	}
	return out
}

// setCookie puts a cookie into the jar, past the rules for pages.
func (b *tab) setCookie(c cookie) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.driver.setCookie(ctx, c); err != nil {
		b.t.Fatal(err)
	}
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
