package account

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"

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

// isCommon reports whether folded, with or without the digits and signs at its end, is in the list.
func isCommon(folded string) bool {
	if listed(folded) {
		return true
	}
	base := strings.TrimRightFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	tail := len([]rune(folded[len(base):]))
	return tail > 0 && tail <= maxCommonTail && listed(base)
}

func listed(folded string) bool {
	_, found := slices.BinarySearch(commonPasswords(), folded)
	return found
}

// fold makes one of the spellings between which guessing programs do not tell: compatibility forms and case. It is for
// comparing with words; no folded password is ever hashed.
func fold(text string) string { return strings.ToLower(norm.NFKC.String(text)) }
