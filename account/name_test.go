package account_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/pawlauth/pawl/account"
)

// Rows: A85
func TestNormalizeNameMakesOneNameOfAllSpellings(t *testing.T) {
	for _, c := range []struct{ want, typed string }{
		{"admin", "admin"},
		{"admin", "Admin"},
		{"admin", "ADMIN"},
		{"admin", "ＡＤＭＩＮ"}, // full width
		{"admin", "aＤmin"}, // mixed
		{"ada@example.org", "Ada＠Example．org"},
		{"\u00e9mile", "E\u0301mile"}, // decomposed
		{"\u00e5sa", "\u212bsa"},      // Angstrom sign
		{"カ\u309aa", "カ\u309aA"},      // a pair without a composed form stays two
		{"ガ", "ｶﾞ"},                   // half width
		{"straße", "STRA\u1e9eE"},     // capital sharp s
		{"i\u0307", "\u0130"},         // dotted capital i: two runes, in every locale
		{strings.Repeat("a", 64), strings.Repeat("A", 64)},
		{strings.Repeat("\u1f82", 64), strings.Repeat("\u03b1\u0313\u0300\u0345", 64)}, // the longest decomposition
		{"שלום", "שלום"},
		{"用户", "用户"},
		{"x", "X"},
	} {
		got, err := account.NormalizeName(c.typed)
		if err != nil || got != c.want {
			t.Errorf("NormalizeName(%q) = %q, %v; want %q", c.typed, got, err, c.want)
		}
	}
}

// Rows: A85
func TestNormalizeNameRefuses(t *testing.T) {
	for name, typed := range map[string]string{
		"nothing":               "",
		"a space":               "ada lovelace",
		"a leading space":       " ada",
		"an ideographic space":  "ada\u3000l",
		"a no-break space":      "ada\u00a0l",
		"NUL":                   "ada\x00",
		"a line break":          "ada\nroot",
		"DEL":                   "ada\x7f",
		"a C1 control":          "ada\u0085",
		"a zero-width space":    "ad\u200bmin",
		"a zero-width joiner":   "ad\u200dmin",
		"a soft hyphen":         "ad\u00admin",
		"a byte order mark":     "\ufeffadmin",
		"a direction override":  "admin\u202e",
		"mixed directions":      "adminש",
		"a ligature":            "ﬁx",
		"a superscript":         "admin²",
		"a mathematical letter": "𝐚dmin",
		"an emoji":              "ada😀",
		"a private-use rune":    "ada\ue000",
		"a noncharacter":        "ada\ufffe",
		"broken UTF-8":          "ada\xff",
		"a surrogate":           "ada\xed\xa0\x80",
		"65 runes":              strings.Repeat("a", 65),
		"65 wide runes":         strings.Repeat("日", 65),
		"a megabyte":            strings.Repeat("a", 1<<20),
	} {
		got, err := account.NormalizeName(typed)
		if !errors.Is(err, account.ErrName) || got != "" {
			t.Errorf("%s: NormalizeName = %q, %v; want ErrName", name, got, err)
		}
	}
}

// Look-alikes of other scripts are not the same name: the documentation says so.
func TestNormalizeNameKeepsScriptsApart(t *testing.T) {
	latin, err := account.NormalizeName("admin")
	if err != nil {
		t.Fatal(err)
	}
	cyrillic, err := account.NormalizeName("\u0430dmin")
	if err != nil || cyrillic == latin {
		t.Errorf("got %q, %v", cyrillic, err)
	}
}

// Within one script too, a new name cannot be made to look like another. One that is there can be used.
//
// Rows: A85
func TestNewNamesTakeNoLookAlikes(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, "admin")
	for _, name := range []string{"admi\u0307n", "adm\u0131n", "ad\u1d0din", "\u0251dmin", "admin\u02bc", "admin\u0332", "\u0301", "7\u0332",
		"admin.\u0332", "adm\u01c3n", "a\u0300\u0301\u0302", "\u0130"} {
		_, err := b.Add(t.Context(), name, password)
		refused, _ := errors.AsType[*account.NameError](err)
		if refused == nil || refused.Rule != account.NameLookAlike && refused.Rule != account.NameCharacters {
			t.Errorf("Add(%+q): %v", name, err)
		}
		if _, err := b.SignUp(t.Context(), name, password, home); !errors.Is(err, account.ErrName) {
			t.Errorf("SignUp(%+q): %v", name, err)
		}
		if _, _, err := b.AddInitial(t.Context(), name); !errors.Is(err, account.ErrName) {
			t.Errorf("AddInitial(%+q): %v", name, err)
		}
	}
	for _, name := range []string{"adm\u0131n", "admin\u0332"} {
		if normal, err := account.NormalizeName(name); err != nil || normal != name {
			t.Errorf("NormalizeName(%+q) = %q, %v", name, normal, err)
		}
	}
	for _, name := range []string{"zo\u00e9", "Nguy\u1ec5n", "\u0259li", "\u0254si", "na\u00efve-7", "\u0938\u0941\u0928\u0940\u0924\u093e", "カ\u309aa", "\u0645\u064f\u0646\u0649",
		"\u03ac\u03bd\u03bd\u03b1", "\u0439\u043e\u0436", "用户", "コーヒー"} {
		if _, err := b.Add(t.Context(), name, password); err != nil {
			t.Errorf("Add(%+q): %v", name, err)
		}
	}
}

// People type the password where the name belongs.
func TestNormalizeNameErrorsDoNotRepeatTheName(t *testing.T) {
	for _, typed := range []string{"canary secret", "canary\x00", "canary\xff", strings.Repeat("canary", 20), strings.Repeat("canary", 1000)} {
		if _, err := account.NormalizeName(typed); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("NormalizeName(%.20q): %v", typed, err)
		}
	}
}

func TestNormalizeNameIsSafeForConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got, err := account.NormalizeName("ＡdΜİÉ"); err != nil || got != "adμi\u0307é" {
					t.Errorf("got %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Rows: A85
func FuzzNormalizeNameIsIdempotent(f *testing.F) {
	for _, seed := range []string{
		"", "admin", "Admin", "ＡＤＭＩＮ", "E\u0301mile", "ｶﾞ", "\u0130", "ΟΔΥΣΣΕΥΣ", "ǅ", "\u1e9e", "\u212b", "a\u0345\u0301", "שלום", "ada😀",
		"a\xff", "\u0344", "ﾡ", "\u1fb3\u0345", "क\u094d\u200dष", "l·l", strings.Repeat("\u1f82", 64),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		name, err := account.NormalizeName(typed)
		if err != nil {
			if !errors.Is(err, account.ErrName) || name != "" {
				t.Fatalf("NormalizeName(%q) = %q, %v", typed, name, err)
			}
			return
		}
		if n := utf8.RuneCountInString(name); n < 1 || n > 64 || !utf8.ValidString(name) {
			t.Errorf("NormalizeName(%q) = %q with %d runes", typed, name, n)
		}
		if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			t.Errorf("NormalizeName(%q) = %q with a control character or a space", typed, name)
		}
		if again, err := account.NormalizeName(name); err != nil || again != name {
			t.Errorf("NormalizeName(%q) = %q, but again %q, %v", typed, name, again, err)
		}
	})
}
