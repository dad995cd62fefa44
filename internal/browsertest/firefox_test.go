package browsertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/pawlauth/pawl/internal/bidi"
)

// A gecko is one process of Firefox, driven by WebDriver BiDi.
type gecko struct {
	browser *bidi.Browser
	dir     string
	remove  bool
}

// startFirefox starts a process. Its profile is in a folder, or, without one,
// goes with the process.
func startFirefox(dir string, preferences map[string]any) (*gecko, error) {
	g := &gecko{dir: dir}
	if dir == "" {
		var err error
		if g.dir, err = os.MkdirTemp("", "firefox"); err != nil {
			return nil, err
		}
		g.remove = true
	}
	all := map[string]any{
		"network.dns.native-is-localhost":                            true, // whatever the name
		"network.dns.disableIPv6":                                    true,
		"security.cert_pinning.enforcement_level":                    0,
		"ui.prefersReducedMotion":                                    1,
		"dom.min_background_timeout_value":                           4, // as in a tab that is seen
		"dom.min_background_timeout_value_without_budget_throttling": 4,
		"dom.timeout.enable_budget_timer_throttling":                 false,
		"dom.disable_open_during_load":                               false,
	}
	for name, value := range preferences {
		all[name] = value
	}
	if text, err := os.ReadFile(g.dir + "/" + cookiesOff); err == nil && len(text) > 0 {
		all["network.cookie.cookieBehavior"] = 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if g.browser, err = bidi.Start(ctx, g.dir, all); err != nil {
		return nil, err
	}
	if err := g.browser.Do(ctx, "session.subscribe", map[string]any{"events": []string{
		"network.beforeRequestSent", "log.entryAdded", "script.message", "browsingContext.contextCreated"}}, nil); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// cookiesOff is a file in a profile that asks for no cookies.
const cookiesOff = "cookies-off"

func forgetfulFirefox(dir string) error {
	return os.WriteFile(dir+"/"+cookiesOff, []byte("yes"), 0o600)
}

func (g *gecko) kill() {
	g.browser.Kill()
	g.clean()
}

func (g *gecko) close() {
	g.browser.Close()
	g.clean()
}

func (g *gecko) clean() {
	if g.remove {
		os.RemoveAll(g.dir)
	}
}

func (g *gecko) newProfile(ctx context.Context) (string, error) {
	var made struct {
		UserContext string `json:"userContext"`
	}
	err := g.browser.Do(ctx, "browser.createUserContext", map[string]any{"acceptInsecureCerts": true}, &made)
	return made.UserContext, err
}

func (g *gecko) removeProfile(ctx context.Context, name string) error {
	return g.browser.Do(ctx, "browser.removeUserContext", map[string]any{"userContext": name}, nil)
}

func (g *gecko) open(ctx context.Context, profile string, notice func(any)) (driver, func(), error) {
	if profile == "" {
		profile = "default"
	}
	var made struct {
		Context string `json:"context"`
	}
	// Each in a window of its own: a tab behind another is not painted.
	if err := g.browser.Do(ctx, "browsingContext.create", map[string]any{"type": "window", "userContext": profile}, &made); err != nil {
		return nil, nil, err
	}
	f := &firefoxTab{browser: g.browser, profile: profile, context: made.Context, notice: notice, contexts: []string{made.Context}}
	stop := g.browser.Listen(f.tell)
	done := func() {
		stop()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		g.browser.Do(ctx, "browsingContext.close", map[string]any{"context": f.context}, nil) // or the process has gone
	}
	if err := f.do(ctx, "script.addPreloadScript", map[string]any{"functionDeclaration": noteViolations, "contexts": []string{f.context}, "sandbox": "pawl",
		"arguments": []any{map[string]any{"type": "channel", "value": map[string]any{"channel": violationChannel}}}}, nil); err != nil {
		done()
		return nil, nil, err
	}
	return f, done, nil
}

const violationChannel = "violation"

const noteViolations = `(report) => addEventListener("securitypolicyviolation", (e) => report(e.effectiveDirective + " " + e.blockedURI), true)`

// A firefoxTab is the driver of a tab of Firefox.
type firefoxTab struct {
	browser          *bidi.Browser
	profile, context string
	notice           func(any)

	mu       sync.Mutex
	contexts []string // its own, and those of the frames in it
}

func (f *firefoxTab) do(ctx context.Context, method string, params map[string]any, result any) error {
	return f.browser.Do(ctx, method, params, result)
}

// tell says in the words of tests what happened.
func (f *firefoxTab) tell(method string, params jsontext.Value) {
	var e struct {
		Context string  `json:"context"`
		Parent  *string `json:"parent"`
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
		Source struct {
			Context string `json:"context"`
		} `json:"source"`
		Level   string `json:"level"`
		Type    string `json:"type"`
		Text    string `json:"text"`
		Channel string `json:"channel"`
		Data    struct {
			Value jsontext.Value `json:"value"`
		} `json:"data"`
		StackTrace struct {
			Frames []struct {
				URL string `json:"url"`
			} `json:"callFrames"`
		} `json:"stackTrace"`
	}
	if err := json.Unmarshal(params, &e); err != nil {
		f.notice(fault{"", fmt.Sprintf("%s: %v", method, err)})
		return
	}
	from := e.Context
	if from == "" {
		from = e.Source.Context
	}
	f.mu.Lock()
	if method == "browsingContext.contextCreated" && e.Parent != nil && slices.Contains(f.contexts, *e.Parent) {
		f.contexts = append(f.contexts, e.Context)
	}
	own := slices.Contains(f.contexts, from)
	f.mu.Unlock()
	if !own {
		return
	}
	switch method {
	case "network.beforeRequestSent":
		f.notice(requested(e.Request.URL))
	case "script.message":
		if e.Channel == violationChannel {
			directive, blocked, _ := strings.Cut(unquote(e.Data.Value), " ")
			f.notice(violation{directive, blocked})
		}
	case "log.entryAdded":
		// What comes from no script is a refusal of the network, which tests provoke.
		if e.Level == "error" && len(e.StackTrace.Frames) > 0 {
			f.notice(fault{e.StackTrace.Frames[0].URL, e.Type + ": " + e.Text})
		}
	}
}

func (f *firefoxTab) navigate(ctx context.Context, address string) error {
	err := f.do(ctx, "browsingContext.navigate", map[string]any{"context": f.context, "url": address, "wait": "none"}, nil)
	// What came of it, the page that is there then shows: where nobody answers,
	// or where the page goes on by itself, that is no failure of the driver.
	if _, refused := errors.AsType[*bidi.Error](err); refused {
		return nil
	}
	return err
}

func (f *firefoxTab) evaluate(ctx context.Context, script string) (jsontext.Value, error) {
	var got struct {
		Type             string `json:"type"`
		Result           remote `json:"result"`
		ExceptionDetails struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	err := f.do(ctx, "script.evaluate", map[string]any{"expression": script, "target": map[string]any{"context": f.context}, "awaitPromise": true,
		"serializationOptions": map[string]any{"maxObjectDepth": nil, "maxDomDepth": 0}}, &got)
	if err != nil {
		return nil, err
	}
	if got.Type == "exception" {
		return nil, thrown(got.ExceptionDetails.Text)
	}
	plain, err := got.Result.plain()
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

// A remote is a value as the protocol writes it.
type remote struct {
	Type  string         `json:"type"`
	Value jsontext.Value `json:"value"`
}

func (r remote) plain() (any, error) {
	switch r.Type {
	case "string", "boolean":
		return r.Value, nil
	case "number":
		if r.Value.Kind() == '"' { // NaN, -0 and what has no end
			return nil, nil
		}
		return r.Value, nil
	case "array":
		var items []remote
		if err := json.Unmarshal(r.Value, &items); err != nil {
			return nil, err
		}
		out := make([]any, len(items))
		for i, item := range items {
			var err error
			if out[i], err = item.plain(); err != nil {
				return nil, err
			}
		}
		return out, nil
	case "object":
		var pairs [][2]jsontext.Value
		if err := json.Unmarshal(r.Value, &pairs); err != nil {
			return nil, err
		}
		out := make(map[string]any)
		for _, pair := range pairs {
			var value remote
			if err := json.Unmarshal(pair[1], &value); err != nil {
				return nil, err
			}
			var err error
			if out[unquote(pair[0])], err = value.plain(); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, nil
}

// The keys of WebDriver that are no character.
var webdriverKeys = strings.NewReplacer("\t", "\ue004", "\r", "\ue007", "\b", "\ue003", "\x1b", "\ue00c")

const webdriverControl = "\ue009"

func (f *firefoxTab) act(ctx context.Context, a action) error {
	source := map[string]any{"type": "key", "id": "keyboard"}
	var steps []any
	step := func(kind string, more map[string]any) {
		more["type"] = kind
		steps = append(steps, more)
	}
	if a.click {
		source = map[string]any{"type": "pointer", "id": "mouse"}
		step("pointerMove", map[string]any{"x": math.Round(a.x), "y": math.Round(a.y)})
		step("pointerDown", map[string]any{"button": 0})
		step("pointerUp", map[string]any{"button": 0})
	}
	if a.ctrl {
		step("keyDown", map[string]any{"value": webdriverControl})
	}
	for _, key := range webdriverKeys.Replace(a.keys) {
		step("keyDown", map[string]any{"value": string(key)})
		step("keyUp", map[string]any{"value": string(key)})
	}
	if a.ctrl {
		step("keyUp", map[string]any{"value": webdriverControl})
	}
	source["actions"] = steps
	return f.do(ctx, "input.performActions", map[string]any{"context": f.context, "actions": []any{source}}, nil)
}

type webdriverCookie struct {
	Name  string `json:"name"`
	Value struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"value"`
	Domain   string `json:"domain"`
	Path     string `json:"path"`
	HTTPOnly bool   `json:"httpOnly"`
	Secure   bool   `json:"secure"`
	SameSite string `json:"sameSite"`
	Expiry   int64  `json:"expiry,omitzero"`
}

// partition is that of the sites of the profile when they are no frames.
func (f *firefoxTab) partition() map[string]any {
	return map[string]any{"type": "storageKey", "userContext": f.profile}
}

func (f *firefoxTab) cookies(ctx context.Context) ([]cookie, error) {
	var got struct {
		Cookies []webdriverCookie `json:"cookies"`
	}
	if err := f.do(ctx, "storage.getCookies", map[string]any{"partition": f.partition()}, &got); err != nil {
		return nil, err
	}
	var out []cookie
	for _, k := range got.Cookies {
		one := cookie{Name: k.Name, Value: k.Value.Value, Domain: k.Domain, Path: k.Path, Secure: k.Secure, HTTPOnly: k.HTTPOnly}
		if k.SameSite != "" && k.SameSite != "default" {
			one.SameSite = strings.ToUpper(k.SameSite[:1]) + k.SameSite[1:]
		}
		if k.Expiry != 0 {
			one.Expires = time.Unix(k.Expiry, 0)
		}
		out = append(out, one)
	}
	return out, nil
}

func (f *firefoxTab) setCookie(ctx context.Context, c cookie) error {
	k := webdriverCookie{Name: c.Name, Domain: c.Domain, Path: c.Path, HTTPOnly: c.HTTPOnly, Secure: c.Secure, SameSite: strings.ToLower(c.SameSite)}
	if k.SameSite == "" {
		k.SameSite = "default"
	}
	k.Value.Type, k.Value.Value = "string", c.Value
	if !c.Expires.IsZero() {
		k.Expiry = c.Expires.Unix()
	}
	return f.do(ctx, "storage.setCookie", map[string]any{"cookie": k, "partition": f.partition()}, nil)
}

func (f *firefoxTab) set(ctx context.Context, setting any) error {
	own := []string{f.context}
	switch v := setting.(type) {
	case scripting:
		return f.tune(ctx, fmt.Sprintf("allowJavascript = %v", bool(v)))
	case language:
		return f.do(ctx, "emulation.setLocaleOverride", map[string]any{"locale": string(v), "contexts": own}, nil)
	case preload:
		return f.do(ctx, "script.addPreloadScript", map[string]any{"functionDeclaration": "() => {" + string(v) + "}", "contexts": own}, nil)
	case view:
		if err := f.do(ctx, "browsingContext.setViewport", map[string]any{"context": f.context, "viewport": map[string]any{"width": v.width, "height": v.height}}, nil); err != nil {
			return err
		}
		return f.tune(ctx, fmt.Sprintf("prefersColorSchemeOverride = %q", v.scheme))
	}
	return fmt.Errorf("no setting %T", setting)
}

// tune sets of the tab what the protocol has no command for, as the developer
// tools of Firefox do: from a window of the browser itself. Colours are those
// of the site that is shown, and are set anew after the next.
func (f *firefoxTab) tune(ctx context.Context, assignment string) error {
	var windows struct {
		Contexts []struct {
			Context string `json:"context"`
		} `json:"contexts"`
	}
	if err := f.do(ctx, "browsingContext.getTree", map[string]any{"moz:scope": "chrome", "maxDepth": 0}, &windows); err != nil {
		return err
	}
	if len(windows.Contexts) == 0 {
		return errors.New("firefox has no window")
	}
	var got struct {
		Type             string `json:"type"`
		ExceptionDetails struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	err := f.do(ctx, "script.evaluate", map[string]any{"target": map[string]any{"context": windows.Contexts[0].Context}, "awaitPromise": false, "expression": fmt.Sprintf(
		`ChromeUtils.importESModule("chrome://remote/content/shared/NavigableManager.sys.mjs").NavigableManager.getBrowserById(%q).browsingContext.%s; 0`, f.context, assignment)}, &got)
	if err == nil && got.Type == "exception" {
		err = thrown(got.ExceptionDetails.Text)
	}
	return err
}
