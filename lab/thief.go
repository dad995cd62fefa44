package lab

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// scriptf is [fmt.Sprintf] for scripts; nothing in the lab needs quoting.
func scriptf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// awaitLoot waits until something with that text came to the thief.
func (s *stage) awaitLoot(text string) {
	deadline := time.After(longest)
	for !strings.Contains(s.looted(), text) {
		select {
		case <-deadline:
			s.fail(fmt.Errorf("nothing with %q came to the thief", text))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// tokenLike is what could be a token.
var tokenLike = regexp.MustCompile(`[A-Za-z0-9_\-.]{16,}`)

// cookieNames are the names of cookies that tokens are kept under anywhere in
// the lab.
var cookieNames = []string{"sid", "token", "refresh_token", "__Host-Http-pawl-access", "__Secure-pawl-refresh"}

// worksElsewhere has the thief try all that looks like a token in a text, from
// his own machine: as a bearer token, as each cookie, and as a refresh token. It
// reports whether the bank took him for the owner.
func (s *stage) worksElsewhere(text string) bool {
	found := tokenLike.FindAllString(text, 200)
	slices.Sort(found)
	for _, loot := range slices.Compact(found) {
		if s.worksAlone(loot) {
			return true
		}
	}
	return false
}

// worksAlone is [stage.worksElsewhere] of one value: as it is, and after a
// renewal. Never both as a cookie and otherwise, which some refuse.
func (s *stage) worksAlone(loot string) bool {
	bearer, refresher, cookies := s.device("thief"), s.device("thief"), s.device("thief")
	bearer.access, refresher.refresh = loot, loot
	for _, name := range cookieNames {
		cookies.jar[name] = biscuit{loot, "/"}
	}
	return s.whom(bearer) == ada || s.whom(cookies) == ada ||
		s.renewed(refresher) && s.whom(refresher) == ada ||
		s.renewed(cookies) && s.whom(cookies) == ada
}
