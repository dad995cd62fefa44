package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// The page that keeps previous tokens is there with --dev, and without it there
// is nothing of it.
func TestDevelopmentPageIsForDevelopmentOnly(t *testing.T) {
	paths := map[string]string{"/": "GET", "/dev/app.js": "GET", "/dev/state": "GET", "/dev/replay": "POST"}
	dev := serve(t, filepath.Join(t.TempDir(), "data"))
	for path, method := range paths {
		if a := dev.must(method, path, "", "", "Origin", dev.base); a.status == 404 {
			t.Errorf("--dev: %s is not there", path)
		}
	}
	if a := dev.must("GET", "/", "", ""); a.status != 200 || !strings.Contains(a.raw, "Nobody is signed in") {
		t.Errorf("--dev, to a stranger: %d %s", a.status, a.raw)
	}
	production := serve(t, filepath.Join(t.TempDir(), "data"), "--dev=false", "--trusted-proxy", "127.0.0.1/32")
	for path, method := range paths {
		if a := production.must(method, path, "", "", "Origin", production.base, "X-Forwarded-Proto", "https"); a.status != 404 {
			t.Errorf("without --dev: %s gives %d", path, a.status)
		}
	}
	if strings.Contains(production.output(), "demo") {
		t.Error("without --dev there is a demo user")
	}
}
