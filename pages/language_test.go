package pages

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

var counted = regexp.MustCompile(`_(zero|one|two|few|many|other)$`)

func mustTongues(t *testing.T) *tongues {
	t.Helper()
	all, err := loadTongues()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var filled = regexp.MustCompile(`\{[a-z]+\}`)

// fillings are the names of what is filled into the words, sorted.
func fillings(words string) []string {
	names := filled.FindAllString(words, -1)
	slices.Sort(names)
	return names
}

func TestEveryStringIsThereInEveryLanguage(t *testing.T) {
	all := mustTongues(t).all
	if len(all) < 2 {
		t.Fatal("there is only one language")
	}
	english := all[0]
	for _, l := range all {
		for key, words := range l.words {
			if strings.TrimSpace(words) == "" {
				t.Errorf("%v: %s is empty", l.tag, key)
			}
			if base := counted.ReplaceAllString(key, ""); base != key && english.has(base+"_other") {
				continue // the forms differ between languages: see below
			}
			if !english.has(key) {
				t.Errorf("%v has %s, English has not", l.tag, key)
			} else if got, want := fillings(words), fillings(english.words[key]); !slices.Equal(got, want) {
				t.Errorf("%v: %s fills in %v, English %v", l.tag, key, got, want)
			}
		}
		for key := range english.words {
			if base := counted.ReplaceAllString(key, ""); base != key && english.has(base+"_other") {
				continue
			}
			if !l.has(key) {
				t.Errorf("%v has no %s", l.tag, key)
			}
		}
	}
}

// Every form of a count that the language uses for some number is there.
func TestEveryCountHasItsForms(t *testing.T) {
	for _, l := range mustTongues(t).all {
		for _, key := range []string{"ago_hours", "ago_days", "wait_seconds", "wait_minutes", "wait_hours"} {
			for n := range 1200 {
				form := plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)
				if !l.has(key + "_" + forms[form]) {
					t.Fatalf("%v: %s_%s is missing, for %d", l.tag, key, forms[form], n)
				}
			}
		}
	}
}

// A key is used if it stands in a template or in the code, or begins as those
// do that are put together from the code of an error or the name of a state.
func TestNoStringIsUnused(t *testing.T) {
	var sources strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(text)
		}
	}
	made := regexp.MustCompile(`^(error_.+_(title|text)|failed_(name|password)_.+|renew_(failed|busy|blocked)(_text)?)$`)
	for key := range mustTongues(t).all[0].words {
		base := counted.ReplaceAllString(key, "")
		if !strings.Contains(sources.String(), `"`+key+`"`) && !strings.Contains(sources.String(), `"`+base+`"`) && !made.MatchString(key) && key != "name" {
			t.Errorf("%s is used nowhere", key)
		}
	}
}

func TestLanguageIsChosenByAcceptLanguage(t *testing.T) {
	all := mustTongues(t)
	for header, want := range map[string]language.Tag{
		"": language.English, "ar": language.Arabic, "ar-EG,en;q=0.5": language.Arabic, "de, ar;q=0.1": language.Arabic,
		"en-GB": language.English, "tlh": language.English, "*": language.English, ";;;q=": language.English,
		strings.Repeat("x-", 5000): language.English, "en;q=0.1, ar;q=0.9": language.Arabic,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", header)
		if got := all.of(r).tag; got != want {
			t.Errorf("%.40q: %v, want %v", header, got, want)
		}
	}
}

func TestTimesAreSaidAsPeopleSayThem(t *testing.T) {
	all := mustTongues(t)
	english, arabic := all.all[0], all.all[1]
	for _, c := range []struct {
		got  phrase
		want string
	}{
		{english.wait(0), "a second"}, {english.wait(1500 * time.Millisecond), "2 seconds"}, {english.wait(61 * time.Second), "61 seconds"},
		{english.wait(91 * time.Second), "2 minutes"}, {english.wait(2 * time.Hour), "2 hours"},
		{english.ago(59 * time.Minute), ""}, {english.ago(-time.Hour), ""}, {english.ago(time.Hour), "an hour ago"},
		{english.ago(23 * time.Hour), "23 hours ago"}, {english.ago(49 * time.Hour), "2 days ago"},
		{english.date(time.Date(2026, 3, 12, 23, 0, 0, 0, time.FixedZone("", -7200))), "13 March 2026"},
		{arabic.ago(2 * time.Hour), "قبل ساعتين"}, {arabic.ago(3 * time.Hour), "قبل 3 ساعات"}, {arabic.wait(11 * time.Second), "11 ثانية"},
		{arabic.date(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)), "1 ديسمبر 2026"},
	} {
		if string(c.got) != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// What is filled in is set apart, so that a name of the other direction does
// not turn the words around it.
func TestWhatIsFilledInIsIsolated(t *testing.T) {
	l := mustTongues(t).all[0]
	got, err := l.text("error_code", "status", 404, "code", "שלום")
	if err != nil || got != "Error 404, \u2068שלום\u2069" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := l.text("no_such_key"); err == nil {
		t.Error("an unknown key has words")
	}
}

// Rows: 54, 69, 246
func TestNothingIsLoadedFromElsewhere(t *testing.T) {
	foreign := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|url\(`)
	n := 0
	for _, files := range []fs.FS{templateFiles, assetFiles, stringFiles} {
		err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			n++
			text, err := fs.ReadFile(files, path)
			if err != nil {
				return err
			}
			rest := strings.ReplaceAll(string(text), `xmlns="http://www.w3.org/2000/svg"`, "")
			if m := foreign.FindString(rest); m != "" {
				t.Errorf("%s refers to %q", path, m)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 15 {
		t.Errorf("only %d files were read", n)
	}
}

// Rows: 52, 68
func TestTemplatesAndScriptsBypassNoEscaping(t *testing.T) {
	forbidden := regexp.MustCompile(`template\.(HTML|JS|JSStr|CSS|URL|HTMLAttr|Srcset)\b|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function| style="| on[a-z]+="|javascript:`)
	for _, pattern := range []string{"*.go", "templates/*.html", "assets/*.js"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if m := forbidden.FindString(string(text)); m != "" {
				t.Errorf("%s has %q", file, m)
			}
		}
	}
}
