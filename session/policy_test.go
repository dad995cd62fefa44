package session

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// faultsOf returns what Validate joined.
func faultsOf(err error) []error {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return joined.Unwrap()
	}
	return nil
}

// The limits of NIST SP 800-63B-4 §2.1.3, §2.2.3, §2.3.3.
//
// Rows: 131, 132.
func TestPresetsKeepToNIST(t *testing.T) {
	for _, name := range Presets {
		p := preset(t, name)
		if err := p.Validate(); err != nil || p.Name != name {
			t.Errorf("preset %s (%s): %v", name, p.Name, err)
		}
		if err := p.MakeStrict().Validate(); err != nil {
			t.Errorf("preset %s, strict: %v", name, err)
		}
	}
	if p := preset(t, "default"); p.IdleLimit != 14*day || p.AbsoluteLimit != 90*day || p.AccessTTL != 5*time.Minute ||
		p.TurnInterval != 75*time.Second || p.Settle != 75*time.Second || p.RaceWindow != 10*time.Second || p.LateRepeats != 4 {
		t.Errorf("default: %+v", p)
	}
	if p := preset(t, "aal1"); p.AbsoluteLimit > 30*day {
		t.Errorf("aal1: absolute limit %v, want at most 30 days", p.AbsoluteLimit)
	}
	if p := preset(t, "aal2"); p.AbsoluteLimit > 24*time.Hour || p.IdleLimit > time.Hour || p.LateRepeats != 2 {
		t.Errorf("aal2: %+v", p)
	}
	if p := preset(t, "aal3"); p.AbsoluteLimit > 12*time.Hour || p.IdleLimit > 15*time.Minute || !p.RequireBinding {
		t.Errorf("aal3: %+v", p)
	}
	for _, name := range []string{"", "Default", "aal4"} {
		if _, err := Preset(name); err == nil {
			t.Errorf("preset %q exists", name)
		}
	}
}

// Each case is one fault on either side of its boundary.
//
// Rows: 95, 132.
func TestValidateFindsEachFault(t *testing.T) {
	for _, test := range []struct {
		name    string
		preset  string
		bad, ok func(*Policy)
	}{
		{"access life too short", "default", func(p *Policy) { *p = p.MakeStrict(); p.AccessTTL = time.Second - 1 },
			func(p *Policy) { *p = p.MakeStrict(); p.AccessTTL = time.Second }},
		{"access life too long", "default", func(p *Policy) { p.AccessTTL = 15*time.Minute + 1 }, func(p *Policy) { p.AccessTTL = 15 * time.Minute }},
		{"access life dangerously long", "default", func(p *Policy) { p.AccessTTL = time.Hour },
			func(p *Policy) { p.AccessTTL, p.DangerouslyLongAccess = time.Hour, true }},
		{"idle over absolute", "default", func(p *Policy) { p.IdleLimit = 90*day + 1 }, func(p *Policy) { p.IdleLimit = 90 * day }},
		{"longer than cookies live", "default", func(p *Policy) { p.AbsoluteLimit = 400*day + 1 }, func(p *Policy) { p.AbsoluteLimit = 400 * day }},
		{"idle below access", "default", func(p *Policy) { p.IdleLimit = 5*time.Minute - 1 }, func(p *Policy) { p.IdleLimit = 5 * time.Minute }},
		{"no late repeats", "default", func(p *Policy) { p.LateRepeats = 0 }, func(p *Policy) { p.LateRepeats = 1 }},
		{"nine late repeats", "default", func(p *Policy) { p.LateRepeats = 9 }, func(p *Policy) { p.LateRepeats = 8 }},
		{"AAL3 over 12 h", "aal3", func(p *Policy) { p.AbsoluteLimit = 12*time.Hour + 1 }, func(p *Policy) { p.AbsoluteLimit = 12 * time.Hour }},
		{"AAL3 unbound", "aal3", func(p *Policy) { p.RequireBinding = false }, func(*Policy) {}},
		{"strict with a turn interval", "default", func(p *Policy) { *p = p.MakeStrict(); p.TurnInterval = 1 }, strictly},
		{"strict with settle", "default", func(p *Policy) { *p = p.MakeStrict(); p.Settle = 1 }, strictly},
		{"strict with a race window", "default", func(p *Policy) { *p = p.MakeStrict(); p.RaceWindow = 1 }, strictly},
		{"turn interval too short", "default", func(p *Policy) { p.TurnInterval = time.Minute }, func(p *Policy) { p.TurnInterval = time.Minute + 1 }},
		{"settle too short", "default", func(p *Policy) { p.Settle = time.Minute }, func(p *Policy) { p.Settle = time.Minute + 1 }},
		{"race window over the turn interval", "default", func(p *Policy) { p.RaceWindow = 75*time.Second + 1 },
			func(p *Policy) { p.RaceWindow = 75 * time.Second }},
		{"race window negative", "default", func(p *Policy) { p.RaceWindow = -1 }, func(p *Policy) { p.RaceWindow = 0 }},
		{"access life too near the turn interval", "default", func(p *Policy) { p.AccessTTL = 105 * time.Second },
			func(p *Policy) { p.AccessTTL = 105*time.Second + 1 }},
	} {
		bad, ok := preset(t, test.preset), preset(t, test.preset)
		test.bad(&bad)
		test.ok(&ok)
		if faults := faultsOf(bad.Validate()); len(faults) != 1 {
			t.Errorf("%s: %v, want one fault", test.name, faults)
		}
		if err := ok.Validate(); err != nil {
			t.Errorf("%s, just not: %v", test.name, err)
		}
	}
}

func TestValidateReportsAllFaultsAtOnce(t *testing.T) {
	if faults := faultsOf(Policy{}.Validate()); len(faults) < 7 {
		t.Errorf("the zero policy has %d faults: %v", len(faults), faults)
	}
	p := preset(t, "default")
	p.AccessTTL, p.LateRepeats, p.RaceWindow, p.Settle = time.Hour, 0, time.Hour, 0
	if faults := faultsOf(p.Validate()); len(faults) != 4 {
		t.Errorf("%d faults, want 4: %v", len(faults), faults)
	}
}

func TestRefreshInLeavesTheTurnIntervalAlone(t *testing.T) {
	for _, name := range Presets {
		p := preset(t, name)
		for p.AccessTTL = 106 * time.Second; p.AccessTTL <= MaxAccessTTL; p.AccessTTL += 7 * time.Second {
			in := p.RefreshIn()
			if in < p.TurnInterval+15*time.Second || in >= p.AccessTTL {
				t.Errorf("access life %v: renew in %v", p.AccessTTL, in)
			}
		}
	}
	if !slices.Contains(Presets, "default") {
		t.Error("there is no default")
	}
}
