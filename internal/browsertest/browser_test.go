package browsertest

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience bounds every single thing that a test waits for.
const patience = 20 * time.Second

// A browser is one process of a browser, as it is installed.
type browser struct {
	kind   *kind
	engine engine
}

// An engine drives one process of a browser. A profile has the cookies and the
// storage of its tabs and of no others; the one with the empty name is that of
// the process, and is kept in its folder.
type engine interface {
	newProfile(ctx context.Context) (name string, err error)
	removeProfile(ctx context.Context, name string) error
	// open opens a tab of a profile. What happens in it is told to notice, which
	// does not wait: a requested, a violation or a fault.
	open(ctx context.Context, profile string, notice func(any)) (d driver, close func(), err error)
	// kill ends all of its processes at once, close as its user would.
	kill()
	close()
}

// A kind is one of the browsers that tests run in.
type kind struct {
	name, command, install string
	start                  func(dir string) (engine, error)
	// forgetful makes a profile in a folder one whose user has turned cookies
	// off, and with them every other storage.
	forgetful func(dir string) error

	once   sync.Once
	shared *browser
	err    error
}

var chromiumKind = &kind{name: "chromium", command: "chromium", install: "apt-get install chromium",
	start: func(dir string) (engine, error) { return startChromium(dir) }, forgetful: forgetfulChromium}

var firefoxKind = &kind{name: "firefox", command: "firefox-esr", install: "apt-get install firefox-esr",
	start: func(dir string) (engine, error) { return startFirefox(dir, nil) }, forgetful: forgetfulFirefox}

var kinds = []*kind{chromiumKind, firefoxKind}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, k := range kinds {
		if k.shared != nil {
			k.shared.engine.close()
		}
	}
	os.Exit(code)
}

// inBoth runs a test in each browser. The process is shared by all tests: what
// one leaves behind is in the profile of its tabs, which ends with it.
func inBoth(t *testing.T, test func(t *testing.T, in *browser)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k.running(t)) })
	}
}

// inChromium is for tests of what only chromium does, or of what no browser
// does otherwise.
func inChromium(t *testing.T) *browser {
	t.Helper()
	return chromiumKind.running(t)
}

// running is the shared process.
func (k *kind) running(t *testing.T) *browser {
	t.Helper()
	k.needed(t)
	k.once.Do(func() {
		var e engine
		if e, k.err = k.start(""); k.err == nil {
			k.shared = &browser{k, e}
		}
	})
	if k.err != nil {
		t.Fatal(k.err)
	}
	return k.shared
}

func (k *kind) needed(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(k.command); err != nil {
		missing(t, k.name, k.install)
	}
}

// apart starts another process of the same kind on the profile in a folder,
// which stays there when the process has gone.
func (b *browser) apart(t *testing.T, dir string) *browser {
	t.Helper()
	e, err := b.kind.start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	return &browser{b.kind, e}
}

// withoutCookies starts another process, whose user has turned cookies off. It
// is so for its kept profile alone.
func (b *browser) withoutCookies(t *testing.T) *browser {
	t.Helper()
	dir := t.TempDir()
	if err := b.kind.forgetful(dir); err != nil {
		t.Fatal(err)
	}
	return b.apart(t, dir)
}

// kill ends the process and its children at once, as a crash does.
func (b *browser) kill() { b.engine.kill() }

// missing ends a test for which something is not installed: it is left out,
// but never where all tests count.
func missing(t *testing.T, what, how string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; %s", what, how)
	}
	t.Skipf("%s is missing; %s", what, how)
}
