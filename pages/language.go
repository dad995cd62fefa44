package pages

import (
	"embed"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed strings/*.toml
var stringFiles embed.FS

// tags are the languages there are; the first is for whoever reads none of
// them.
var tags = []language.Tag{language.English, language.Arabic}

// A tongue is one language with its words by key.
type tongue struct {
	tag   language.Tag
	words map[string]string
}

// Lang and Dir are the attributes of the html element.
func (l *tongue) Lang() string { return l.tag.String() }
func (l *tongue) Dir() string  { return l.words["direction"] }

// tongues holds every language and chooses among them.
type tongues struct {
	matcher language.Matcher
	all     []*tongue
}

func loadTongues() (*tongues, error) {
	t := &tongues{matcher: language.NewMatcher(tags)}
	for _, tag := range tags {
		words := make(map[string]string)
		if _, err := toml.DecodeFS(stringFiles, path.Join("strings", tag.String()+".toml"), &words); err != nil {
			return nil, fmt.Errorf("words of language %v: %w", tag, err)
		}
		t.all = append(t.all, &tongue{tag, words})
	}
	return t, nil
}

// of chooses by Accept-Language (RFC 9110 §12.5.4). The parser bounds what it
// takes, and what it refuses counts as nothing.
func (t *tongues) of(r *http.Request) *tongue {
	_, i := language.MatchStrings(t.matcher, r.Header.Get("Accept-Language"))
	return t.all[i]
}

// Marks around what is filled in, so that a name in one direction does not
// turn the words around it (Unicode UAX #9, FSI and PDI).
const isolate, endIsolate = "\u2068", "\u2069"

// text returns the words of a key, with "{name}" replaced by the value that
// follows "name" in fill. An unknown key is a fault of ours.
func (l *tongue) text(key string, fill ...any) (string, error) {
	words, ok := l.words[key]
	if !ok {
		return "", fmt.Errorf("pages: no words for %q in language %v", key, l.tag)
	}
	pairs := make([]string, 0, len(fill))
	for i := 0; i+1 < len(fill); i += 2 {
		value := fmt.Sprint(fill[i+1])
		if text, isText := fill[i+1].(string); isText {
			value = isolate + text + endIsolate
		}
		pairs = append(pairs, "{"+fmt.Sprint(fill[i])+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(words), nil
}

func (l *tongue) has(key string) bool { return l.words[key] != "" }

// words that are already of this language are filled in without isolation.
type phrase string

// count returns the form of the key that fits n, such as "3 hours ago".
func (l *tongue) count(key string, n int) phrase {
	form := plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)
	key += "_"
	if l.has(key + forms[form]) {
		key += forms[form]
	} else {
		key += forms[plural.Other]
	}
	return phrase(strings.ReplaceAll(l.words[key], "{n}", strconv.Itoa(n)))
}

// forms are the ends of keys of counts.
var forms = map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two",
	plural.Few: "few", plural.Many: "many", plural.Other: "other"}

// wait is a time to wait, rounded up to what a person would say.
func (l *tongue) wait(d time.Duration) phrase {
	up := func(unit time.Duration) int { return int((max(d, 1) + unit - 1) / unit) }
	switch {
	case d < 90*time.Second:
		return l.count("wait_seconds", up(time.Second))
	case d < 90*time.Minute:
		return l.count("wait_minutes", up(time.Minute))
	}
	return l.count("wait_hours", up(time.Hour))
}

// ago is how long ago something was, rounded down; empty below an hour.
func (l *tongue) ago(d time.Duration) phrase {
	switch hours := int(d / time.Hour); {
	case hours < 1:
		return ""
	case hours < 24:
		return l.count("ago_hours", hours)
	default:
		return l.count("ago_days", hours/24)
	}
}

// date is a day, by UTC: the browser's zone is not known without script.
func (l *tongue) date(t time.Time) phrase {
	t = t.UTC()
	months := strings.Fields(l.words["months"])
	if len(months) != 12 {
		return phrase(t.Format(time.DateOnly))
	}
	return phrase(strings.NewReplacer("{day}", strconv.Itoa(t.Day()), "{month}", months[t.Month()-1],
		"{year}", strconv.Itoa(t.Year())).Replace(l.words["date"]))
}
