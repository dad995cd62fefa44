package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// TestContract plays the conversations in testdata/contract. They are the HTTP
// contract in the form in which a client's author reads it:
//
//	wait 80s                      time passes
//	keep NAME                     as $kept_NAME, for later
//	> POST /auth/login            a request; cookies are kept as a browser does
//	> Header: value
//	> > the body
//	< 200                         its answer
//	< Header: value               * stands for anything
//	< ! Header                    is not there
//	< > text                      is in the body; * stands for anything
//
// $name in a request stands for that member of an earlier JSON answer.
//
// Rows: 1-4, 11, 12, 15, 18-21, 24, 26, 30, 58, 99, 102, 103, 104, 111, 112, 118, 121, 124, 125, 137, 139, 141, 142, 147, 166.
func TestContract(t *testing.T) {
	files, err := filepath.Glob("testdata/contract/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := &player{world: newWorld(t, change{api: signup}), jar: map[string]string{}, members: map[string]string{}}
			for n, line := range strings.Split(string(text), "\n") {
				p.line = fmt.Sprintf("%s:%d", file, n+1)
				p.play(line)
			}
			if p.asked != nil || p.exchanges == 0 {
				t.Fatal("the conversation breaks off")
			}
		})
	}
}

type player struct {
	*world
	line      string
	jar       map[string]string
	members   map[string]string
	asked     []string // lines of the request that is being read
	answer    answer
	exchanges int
}

func (p *player) play(line string) {
	p.t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "", "#":
	case "wait":
		d, err := time.ParseDuration(rest)
		p.must(err)
		p.wait(d)
	case "keep":
		p.members["kept_"+rest] = p.members[rest]
	case ">":
		p.asked = append(p.asked, rest)
	case "<":
		if p.asked != nil {
			p.ask()
		}
		p.expect(rest)
	default:
		p.t.Fatalf("%s: what is %q?", p.line, verb)
	}
}

var variable = regexp.MustCompile(`\$[a-z_]+`)

func (p *player) ask() {
	text := variable.ReplaceAllStringFunc(strings.Join(p.asked, "\n"), func(name string) string {
		value, ok := p.members[name[1:]]
		if !ok {
			p.t.Fatalf("%s: no answer had %s", p.line, name)
		}
		return value
	})
	lines := strings.Split(text, "\n")
	p.asked = nil
	method, path, _ := strings.Cut(lines[0], " ")
	var headers []string
	var body strings.Builder
	for _, l := range lines[1:] {
		if part, ok := strings.CutPrefix(l, "> "); ok {
			body.WriteString(part)
		} else {
			headers = append(headers, l)
		}
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(p.jar)) {
		pairs = append(pairs, name+"="+p.jar[name])
	}
	if len(pairs) > 0 && !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Authorization:") }) {
		headers = append(headers, "Cookie: "+strings.Join(pairs, "; "))
	}
	p.answer = p.do(method, path, body.String(), headers...)
	p.exchanges++
	p.remember()
}

// remember keeps cookies as a browser does, and the members of the answer.
func (p *player) remember() {
	for _, c := range p.answer.Result().Cookies() {
		if p.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(p.jar, c.Name)
		}
	}
	var members map[string]any
	if json.Unmarshal(p.answer.Body.Bytes(), &members) != nil {
		return
	}
	if s, ok := members["session"].(map[string]any); ok {
		members["id"] = s["id"]
	}
	for name, value := range members {
		if text, ok := value.(string); ok {
			p.members[name] = text
		}
	}
}

func (p *player) expect(what string) {
	p.t.Helper()
	if status, err := strconv.Atoi(what); err == nil {
		if p.answer.Code != status {
			p.t.Fatalf("%s: status %d, want %d: %s", p.line, p.answer.Code, status, p.answer.Body)
		}
		return
	}
	if name, ok := strings.CutPrefix(what, "! "); ok {
		if got := p.answer.Header()[http.CanonicalHeaderKey(name)]; got != nil {
			p.t.Errorf("%s: %s is %q", p.line, name, got)
		}
		return
	}
	if text, ok := strings.CutPrefix(what, "> "); ok {
		if !matches(text, p.answer.Body.String(), false) {
			p.t.Errorf("%s: the body is %s", p.line, p.answer.Body)
		}
		return
	}
	name, value, _ := strings.Cut(what, ": ")
	got := p.answer.Header()[http.CanonicalHeaderKey(name)]
	if !slices.ContainsFunc(got, func(line string) bool { return matches(value, line, true) }) {
		p.t.Errorf("%s: %s is %q", p.line, name, got)
	}
}

func matches(pattern, text string, whole bool) bool {
	re := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	if whole {
		re = "^" + re + "$"
	}
	return regexp.MustCompile(re).MatchString(text)
}
