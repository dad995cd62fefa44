package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds every single thing that a test waits for.
const patience = 20 * time.Second

// A browser is one process of chromium.
type browser struct {
	ctx   context.Context
	close func()
}

// shared is the browser of all tests that need no other; each test has a
// profile of its own in it.
var shared = sync.OnceValues(func() (*browser, error) { return startBrowser() })

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := shared(); err == nil {
		b.close()
	}
	if tools != "" {
		os.RemoveAll(tools)
	}
	os.Exit(code)
}

// startBrowser starts chromium. It asks nobody for updates and the like: what
// it asks for is what a page asked for.
func startBrowser(more ...chromedp.ExecAllocatorOption) (*browser, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // chromium refuses to sandbox for root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, cancel := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		stop()
		return nil, fmt.Errorf("start chromium: %w", err)
	}
	return &browser{ctx, func() { cancel(); stop() }}, nil
}

// startWithoutCookies starts a browser whose user has turned cookies off, and
// with them every other storage.
func startWithoutCookies(t *testing.T) *browser {
	t.Helper()
	sharedBrowser(t) // or there is no chromium at all
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	preferences := `{"profile":{"default_content_setting_values":{"cookies":2}}}`
	if err := os.WriteFile(filepath.Join(dir, "Default", "Preferences"), []byte(preferences), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := startBrowser(chromedp.UserDataDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
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

func sharedBrowser(t *testing.T) *browser {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		missing(t, "chromium", "apt-get install chromium")
	}
	b, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
