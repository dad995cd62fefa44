package account

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// commonList is one password a line, folded, in order of bytes. Where it comes from, and its licence, are in
// common/LICENSE.txt.
//
//go:embed common/passwords.txt
var commonList string

var commonPasswords = sync.OnceValue(func() []string { return strings.Fields(commonList) })

// maxCommonTail is how many digits and signs at the end of a common password make no other of it, in runes:
// password123456 is as common as password. More of them than this may hold a secret.
const maxCommonTail = 6

const (
	// maxBlock is how long a block of characters is that makes nothing but a pattern by being repeated, in runes.
	maxBlock = 4
	// minPattern is how long a pattern is that counts as one before a tail, in runes: shorter ones are in half of all words.
	minPattern = 4
)

// isCommon reports whether folded, with or without the digits and signs at its end, is in the list or is a pattern.
func isCommon(folded string) bool {
	if listed(folded) || isPattern(folded) {
		return true
	}
	base := strings.TrimRightFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	tail := utf8.RuneCountInString(folded[len(base):])
	return tail > 0 && tail <= maxCommonTail && (listed(base) || utf8.RuneCountInString(base) >= minPattern && isPattern(base))
}

// isPattern reports whether text is one short block over and over, or a run of characters that follow each other, up or down: no list
// has all of them, and guessing programs make them by rule (NIST SP 800-63B-4 §3.1.1.2: repetitive and incremental passwords).
func isPattern(text string) bool {
	runes := []rune(text)
	for block := 1; block <= min(maxBlock, len(runes)-1); block++ {
		if slices.Equal(runes[block:], runes[:len(runes)-block]) {
			return true
		}
	}
	if len(runes) < 2 {
		return false
	}
	step := runes[1] - runes[0]
	for i := 1; i < len(runes); i++ {
		if step != 1 && step != -1 || runes[i]-runes[i-1] != step {
			return false
		}
	}
	return true
}

func listed(folded string) bool {
	_, found := slices.BinarySearch(commonPasswords(), folded)
	return found
}

// fold makes one of the spellings between which guessing programs do not tell: compatibility forms and case. It is for
// comparing with words; no folded password is ever hashed.
func fold(text string) string { return strings.ToLower(norm.NFKC.String(text)) }
