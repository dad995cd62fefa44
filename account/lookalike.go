package account

import "unicode"

// lookAlikes are Latin letters and signs that are hard to tell from others of their own script: dotless letters, clicks, and those made
// to write down sounds.
var lookAlikes = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x0131, 0x0131, 1}, // dotless i
		{0x0138, 0x0138, 1}, // kra
		{0x01C0, 0x01C3, 1}, // clicks
		{0x0237, 0x0237, 1}, // dotless j
		{0x0250, 0x02AF, 1}, // IPA Extensions
		{0x02B0, 0x02FF, 1}, // Spacing Modifier Letters
		{0x1D00, 0x1DBF, 1}, // Phonetic Extensions, with their supplement
		{0xA700, 0xA71F, 1}, // Modifier Tone Letters
		{0xA788, 0xA78C, 1}, // modifier and saltillo letters
		{0xAB30, 0xAB6F, 1}, // Latin Extended-E
	},
	R32: []unicode.Range32{
		{0x10780, 0x107BF, 1}, // Latin Extended-F
		{0x1DF00, 0x1DFFF, 1}, // Latin Extended-G
	},
	LatinOffset: 0,
}

// alphabetic are those letters among the phonetic ones with which people write: Azerbaijani, Hausa, Fula, Ewe, Bambara.
var alphabetic = map[rune]bool{'ə': true, 'ɛ': true, 'ɔ': true, 'ɓ': true, 'ɗ': true, 'ɖ': true, 'ɣ': true, 'ɲ': true}

// checkLookAlikes refuses a new name that takes Latin letters or signs for others which look like them. A mark that NFC left on a Latin
// letter, or on what is no letter, may lie upon what is there already: i with another dot, n with a line below. The price is that the
// few languages that need such a letter write it without the mark in a name. Marks of other scripts are parts of words. Letters
// that are told apart by looking twice (rn and m, l and 1) stay.
func checkLookAlikes(name string) error {
	marked := true // what comes before the next rune takes no mark
	for _, r := range name {
		mark := unicode.Is(unicode.M, r)
		if mark && marked || unicode.Is(lookAlikes, r) && !alphabetic[r] {
			return &NameError{Rule: NameLookAlike}
		}
		if !mark {
			marked = unicode.In(r, unicode.Latin, unicode.Common)
		}
	}
	return nil
}
