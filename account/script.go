package account

import (
	"slices"
	"unicode"
)

// Scripts that are written together, each a row of Unicode Technical Standard #39 §5.1 and §5.2 ("highly restrictive").
var writtenTogether = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// checkScripts refuses a new name whose letters are of scripts that are not written together: with one Cyrillic letter, "admin"
// is another name and looks the same. A name that is wholly of another script is somebody's own, even if it looks like a word of
// ours.
func checkScripts(name string) error {
	var script *unicode.RangeTable
	for _, r := range name {
		if unicode.In(r, unicode.Common, unicode.Inherited) {
			continue
		}
		if script == nil {
			script = scriptOf(r)
		}
		if script == nil || !unicode.Is(script, r) {
			return together(name)
		}
	}
	return nil
}

func scriptOf(r rune) *unicode.RangeTable {
	for _, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return table
		}
	}
	return nil
}

func together(name string) error {
	for _, scripts := range writtenTogether {
		if fits(name, slices.Concat(scripts, []*unicode.RangeTable{unicode.Common, unicode.Inherited})) {
			return nil
		}
	}
	return &NameError{Rule: NameScripts}
}

func fits(name string, scripts []*unicode.RangeTable) bool {
	for _, r := range name {
		if !unicode.In(r, scripts...) {
			return false
		}
	}
	return true
}
