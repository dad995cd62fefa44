package browsertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json/jsontext"
)

// A chromium is one process, driven by chromedp.
type chromium struct {
	ctx     context.Context
	stop    func()
	process *exec.Cmd
}

// startChromium starts a process. It asks nobody for updates and the like:
// what it asks for is what a page asked for. Its profile is in a folder, or,
// without one, goes with the process.
func startChromium(dir string, more ...chromedp.ExecAllocatorOption) (*chromium, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	a, err := ca()
	if err != nil {
		return nil, err
	}
	c := &chromium{}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-pings", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
		// Trusts the authority without leaving an error on the connection, as
		// ignore-certificate-errors does, for which device binding is refused.
		chromedp.Flag("ignore-certificate-errors-spki-list", a.pin()),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			c.process = cmd
		}),
	)
	if dir != "" {
		options = append(options, chromedp.UserDataDir(dir))
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // chromium refuses to sandbox for root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, cancel := chromedp.NewContext(allocator)
	c.ctx, c.stop = ctx, func() { cancel(); stop() }
	if err := chromedp.Do(ctx); err != nil {
		c.stop()
		return nil, fmt.Errorf("start chromium: %w", err)
	}
	return c, nil
}

// chromiumApart is a process of chromium with other flags, on the profile in a
// folder.
func chromiumApart(t *testing.T, dir string, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	chromiumKind.needed(t)
	c, err := startChromium(dir, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return &browser{chromiumKind, c}
}

func forgetfulChromium(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "Default"), 0o700); err != nil {
		return err
	}
	preferences := `{"profile":{"default_content_setting_values":{"cookies":2}}}`
	return os.WriteFile(filepath.Join(dir, "Default", "Preferences"), []byte(preferences), 0o600)
}

func (c *chromium) kill() {
	syscall.Kill(-c.process.Process.Pid, syscall.SIGKILL)
	c.stop()
}

func (c *chromium) close() { c.stop() }

func (c *chromium) newProfile(ctx context.Context) (string, error) {
	made, err := chromedp.CallBrowser(c.ctx, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	return string(made.BrowserContextID), err
}

func (c *chromium) removeProfile(ctx context.Context, name string) error {
	_, err := chromedp.CallBrowser(c.ctx, target.DisposeBrowserContext, target.DisposeBrowserContextParams{BrowserContextID: cdp.BrowserContextID(name)})
	return err
}

func (c *chromium) open(_ context.Context, profile string, notice func(any)) (driver, func(), error) {
	options := []chromedp.ContextOption{chromedp.WithListener(func(event any) { tell(event, notice) })}
	if profile != "" {
		options = append(options, chromedp.WithExistingBrowserContext(cdp.BrowserContextID(profile)))
	}
	ctx, cancel := chromedp.NewContext(c.ctx, options...)
	// What opens the tab bounds its life, so this has no deadline of its own.
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		return nil, nil, err
	}
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		cancel()
		return nil, nil, err
	}
	return &chromiumTab{ctx}, cancel, nil
}

// tell says in the words of tests what happened.
func tell(event any, notice func(any)) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		notice(requested(e.Request.URL))
	case *audits.EventIssueAdded:
		if d := e.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			v := d.ContentSecurityPolicyIssueDetails
			notice(violation{v.ViolatedDirective, v.BlockedURL})
		}
	case *runtime.EventExceptionThrown:
		notice(fault{e.ExceptionDetails.URL, "exception: " + e.ExceptionDetails.Text})
	case *log.EventEntryAdded:
		// The log of the network has every refusal, which tests provoke.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork && e.Entry.Source != log.EntrySourceSecurity {
			notice(fault{e.Entry.URL, fmt.Sprint(e.Entry.Source, ": ", e.Entry.Text)})
		}
	}
}

// A chromiumTab is the driver of a tab of chromium.
type chromiumTab struct{ ctx context.Context }

// ask runs one command, as long as both the tab and ctx live.
func ask[P, R any](ctx context.Context, c *chromiumTab, command cdp.Command[P, R], params P) (R, error) {
	inner, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	result, err := chromedp.Call(inner, command, params)
	if err != nil && inner.Err() != nil {
		err = errors.Join(err, context.Cause(inner))
	}
	return result, err
}

func (c *chromiumTab) navigate(ctx context.Context, address string) error {
	went, err := ask(ctx, c, page.Navigate, page.NavigateParams{URL: address})
	if err == nil && went.ErrorText != "" {
		err = errors.New(went.ErrorText)
	}
	return err
}

func (c *chromiumTab) evaluate(ctx context.Context, script string) (jsontext.Value, error) {
	yes := true
	got, err := ask(ctx, c, runtime.Evaluate, runtime.EvaluateParams{Expression: script, ReturnByValue: &yes, AwaitPromise: &yes})
	switch {
	case err != nil:
		return nil, err
	case got.ExceptionDetails != nil:
		text := got.ExceptionDetails.Text
		if e := got.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
		return nil, thrown(text)
	case len(got.Result.Value) == 0:
		return jsontext.Value("null"), nil
	}
	return jsontext.Value(got.Result.Value), nil
}

func (c *chromiumTab) act(ctx context.Context, a action) error {
	switch {
	case a.click:
		for _, what := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
			if _, err := ask(ctx, c, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: what, X: a.x, Y: a.y, Button: input.MouseButtonLeft, ClickCount: 1}); err != nil {
				return err
			}
		}
		return nil
	case a.ctrl:
		for _, p := range []input.DispatchKeyEventParams{
			{Type: input.DispatchKeyEventTypeRawKeyDown, Key: a.keys, Modifiers: 2, Commands: []string{a.command}},
			{Type: input.DispatchKeyEventTypeKeyUp, Key: a.keys, Modifiers: 2},
		} {
			if _, err := ask(ctx, c, input.DispatchKeyEvent, p); err != nil {
				return err
			}
		}
		return nil
	}
	inner, cancel := context.WithCancel(c.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return chromedp.Do(inner, chromedp.KeyEvent(a.keys))
}

func (c *chromiumTab) cookies(ctx context.Context) ([]cookie, error) {
	got, err := chromedp.CallBrowser(c.ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: chromedp.FromContext(c.ctx).BrowserContextID})
	if err != nil {
		return nil, err
	}
	var out []cookie
	for _, k := range got.Cookies {
		one := cookie{Name: k.Name, Value: k.Value, Domain: k.Domain, Path: k.Path, Secure: k.Secure, HTTPOnly: k.HTTPOnly, SameSite: string(k.SameSite)}
		if !k.Session {
			one.Expires = time.UnixMilli(int64(math.Round(k.Expires * 1000)))
		}
		out = append(out, one)
	}
	return out, nil
}

func (c *chromiumTab) setCookie(ctx context.Context, k cookie) error {
	p := &network.CookieParam{Name: k.Name, Value: k.Value, Path: k.Path, Secure: k.Secure, HTTPOnly: k.HTTPOnly, SameSite: network.CookieSameSite(k.SameSite)}
	// A cookie of one host has no domain.
	if k.Domain != "" && k.Domain[0] == '.' {
		p.Domain = k.Domain
	}
	scheme := "http"
	if k.Secure && k.Domain != plainHost {
		scheme = "https"
	}
	p.URL = scheme + "://" + k.host() + k.Path
	if !k.Expires.IsZero() {
		p.Expires = cdp.TimeSinceEpoch(k.Expires.Unix())
	}
	_, err := chromedp.CallBrowser(c.ctx, storage.SetCookies, storage.SetCookiesParams{Cookies: []*network.CookieParam{p},
		BrowserContextID: chromedp.FromContext(c.ctx).BrowserContextID})
	return err
}

func (c *chromiumTab) set(ctx context.Context, setting any) error {
	var err error
	switch v := setting.(type) {
	case scripting:
		_, err = ask(ctx, c, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !bool(v)})
	case language:
		agent, failed := c.evaluate(ctx, "navigator.userAgent")
		if failed != nil {
			return failed
		}
		_, err = ask(ctx, c, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: unquote(agent), AcceptLanguage: string(v)})
	case preload:
		_, err = ask(ctx, c, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: string(v)})
	case view:
		if _, err = ask(ctx, c, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: v.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}); err != nil {
			return err
		}
		_, err = ask(ctx, c, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: 1})
	default:
		err = fmt.Errorf("no setting %T", setting)
	}
	return err
}
