package bidi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
)

// A Browser is one process of Firefox, without a window, and the session with
// which it is driven.
type Browser struct {
	*connection
	command *exec.Cmd
	ended   chan struct{}
}

// quiet are the preferences with which Firefox asks for nothing that no page
// asked for.
var quiet = map[string]any{
	"app.normandy.enabled":                                        false,
	"app.update.disabledForTesting":                               true,
	"app.update.enabled":                                          false,
	"browser.aboutwelcome.enabled":                                false,
	"browser.contentblocking.introCount":                          99,
	"browser.discovery.enabled":                                   false,
	"browser.newtabpage.enabled":                                  false,
	"browser.newtabpage.activity-stream.feeds.topsites":           false,
	"browser.newtabpage.activity-stream.feeds.section.topstories": false,
	"browser.region.network.url":                                  "",
	"browser.region.update.enabled":                               false,
	"browser.safebrowsing.downloads.remote.enabled":               false,
	"browser.safebrowsing.malware.enabled":                        false,
	"browser.safebrowsing.phishing.enabled":                       false,
	"browser.search.update":                                       false,
	"browser.sessionstore.resume_from_crash":                      false,
	"browser.shell.checkDefaultBrowser":                           false,
	"browser.startup.homepage_override.mstone":                    "ignore",
	"browser.startup.page":                                        0,
	"datareporting.healthreport.uploadEnabled":                    false,
	"datareporting.policy.dataSubmissionEnabled":                  false,
	"datareporting.usage.uploadEnabled":                           false,
	"dom.push.connection.enabled":                                 false,
	"extensions.getAddons.cache.enabled":                          false,
	"extensions.systemAddon.update.enabled":                       false,
	"extensions.update.enabled":                                   false,
	"geo.provider.network.url":                                    "",
	"media.gmp-manager.updateEnabled":                             false,
	"network.captive-portal-service.enabled":                      false,
	"network.connectivity-service.enabled":                        false,
	"network.dns.disablePrefetch":                                 true,
	"network.http.speculative-parallel-limit":                     0,
	"network.prefetch-next":                                       false,
	"network.trr.mode":                                            5,
	"security.OCSP.enabled":                                       0,
	"security.remote_settings.crlite_filters.enabled":             false,
	"security.remote_settings.intermediates.enabled":              false,
	"services.settings.server":                                    "data:,#remote-settings-dummy/v1",
	"signon.rememberSignons":                                      false,
	"toolkit.telemetry.enabled":                                   false,
	"toolkit.telemetry.server":                                    "data:,",
	"toolkit.telemetry.unified":                                   false,
	"toolkit.shutdown.fastShutdownStage":                          0,
}

// Start starts firefox-esr on the profile in a folder, which it makes if it is
// not there, with further preferences. Errors of certificates are accepted:
// nothing here is to be kept from anybody on the way. The process ends with
// the one that started it; ctx bounds the start alone.
func Start(ctx context.Context, profile string, preferences map[string]any) (*Browser, error) {
	all := maps.Clone(quiet)
	maps.Copy(all, preferences)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value, err := json.Marshal(all[name])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, "user_pref(%q, %s);\n", name, value)
	}
	if err := os.MkdirAll(profile, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	b := &Browser{ended: make(chan struct{})}
	b.command = exec.Command("firefox-esr", "--headless", "--no-remote", "--remote-debugging-port=0", "--remote-allow-system-access", "--profile", profile)
	b.command.Env = append(os.Environ(), "MOZ_CRASHREPORTER_DISABLE=1", "MOZ_DISABLE_AUTO_SAFE_MODE=1")
	b.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	output, err := b.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := b.command.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go func() {
		defer close(b.ended)
		follow(output, address)
		b.command.Wait()
	}()
	if err := b.connect(ctx, address); err != nil {
		b.Kill()
		return nil, fmt.Errorf("start firefox: %w", err)
	}
	return b, nil
}

// follow reads what the process says, and tells the address when that comes.
func follow(output io.Reader, address chan<- string) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if _, found, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
			address <- strings.TrimSpace(found)
		}
	}
	io.Copy(io.Discard, output) // what has no end of line
}

func (b *Browser) connect(ctx context.Context, address <-chan string) error {
	var at string
	select {
	case at = <-address:
	case <-b.ended:
		return errors.New("it ended at once")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var err error
	if b.connection, err = dial(ctx, at+"/session"); err != nil {
		return err
	}
	return b.Do(ctx, "session.new", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"acceptInsecureCerts": true, "unhandledPromptBehavior": map[string]any{"default": "accept"}}}}, nil)
}

// Close ends the browser as its user does, so that its profile is complete.
func (b *Browser) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if b.Do(ctx, "browser.close", struct{}{}, nil) == nil {
		select {
		case <-b.ended:
		case <-ctx.Done():
		}
	}
	b.Kill()
}

// Kill ends all processes of the browser at once.
func (b *Browser) Kill() {
	syscall.Kill(-b.command.Process.Pid, syscall.SIGKILL)
	if b.connection != nil {
		b.socket.CloseNow()
	}
	<-b.ended
}
