package browsertest

import (
	"context"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A driver is one tab, as the protocol of its browser moves it. What a tab of
// a test does is made of this.
type driver interface {
	// navigate goes to an address and returns when an answer begins.
	navigate(ctx context.Context, address string) error
	// evaluate returns the value of a script, or of the promise that it is. A
	// script that threw is a thrown; another error may be that the tab went on to
	// another page meanwhile.
	evaluate(ctx context.Context, script string) (jsontext.Value, error)
	act(ctx context.Context, a action) error
	// cookies are all those of the profile.
	cookies(ctx context.Context) ([]cookie, error)
	setCookie(ctx context.Context, c cookie) error
	// set sets one thing about the tab: a scripting, language, view or preload.
	set(ctx context.Context, setting any) error
}

// An action is what a hand does: it presses keys where the focus is, or clicks
// at a point. Tab and Enter are "\t" and "\r".
type action struct {
	keys    string
	ctrl    bool
	command string // what ctrl and the key mean, in a word of chromium, which is to be told
	click   bool
	x, y    float64
}

type (
	scripting bool   // whether pages may run scripts
	language  string // that is preferred
	preload   string // a script that runs before those of every page
	view      struct {
		scheme        string // light or dark
		width, height int64
	}
)

// What tabs notice.
type (
	requested string // an address
	// A violation is of a content security policy.
	violation struct{ directive, blocked string }
	// A fault is an exception or another error of the script of a page.
	fault struct{ page, text string }
)

type thrown string

func (e thrown) Error() string { return "the script threw: " + string(e) }

// A cookie is what a browser knows of one.
type cookie struct {
	Name, Value  string
	Domain, Path string // a domain that includes hosts below it begins with a dot
	Secure       bool
	HTTPOnly     bool
	SameSite     string    // Strict, Lax, None or empty
	Expires      time.Time // zero: with the session of the browser
}

// host is that of the cookie, or a host below its domain.
func (c cookie) host() string { return strings.TrimPrefix(c.Domain, ".") }

func unquote(v jsontext.Value) string {
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return string(v)
	}
	return string(text)
}
