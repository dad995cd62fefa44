package pages_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/pawlauth/pawl/pages"
)

// Every page says whether a browser may come back to it.
//
// Rows: 61, A89.
func TestEveryPageIsKnownToWhatSendsBrowsersOn(t *testing.T) {
	w := newWorld(t)
	below := pages.Below("/auth")
	if known := slices.Sorted(maps.Keys(below)); !slices.Equal(known, w.Paths()) {
		t.Errorf("known %v, served %v", known, w.Paths())
	}
	for path, lasts := range below {
		if _, ok := w.api.ReturnTo(path); ok != lasts {
			t.Errorf("%s: may be returned to: %v", path, ok)
		}
	}
}
