package lab

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

//go:embed report.html
var reportPage string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"id": reportID, "class": reportClass, "told": toldHeaders, "short": shortTokens, "picture": pictureURL, "status": statusText,
	"key": func() []Verdict { return []Verdict{Refused, Detected, InPlace, Elsewhere, NotApplicable} },
}).Parse(reportPage))

// Report is the results as one HTML page that needs nothing else: it asks for
// nothing, and holds no script. Tokens in it are shortened; they were good for
// nothing but this run's banks, which are gone.
func (r *Results) Report() ([]byte, error) {
	var page bytes.Buffer
	if err := reportTemplate.Execute(&page, r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return page.Bytes(), nil
}

// reportID is the fragment by which a cell is found.
func reportID(c Cell) string { return c.Attack.Name + "--" + c.Way.Name }

// reportClass is how a verdict is coloured.
func reportClass(v Verdict) string { return strings.ReplaceAll(v.String(), " ", "-") }

// telling are the headers of requests and answers that tell who asks, from
// where, and what is allowed; nobody wants to see the others.
var telling = []string{
	"Authorization", "Cookie", "Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Content-Type", "Upgrade", "Idempotency-Key",
	"Access-Control-Request-Method", "Access-Control-Request-Headers",
	"Set-Cookie", "Location", "Www-Authenticate", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
	"X-Frame-Options", "Referrer-Policy", "Cache-Control",
}

// A headerLine is one line of a header.
type headerLine struct{ Name, Value string }

// toldHeaders are the lines that are told, in the order of names.
func toldHeaders(h http.Header) []headerLine {
	var lines []headerLine
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !slices.Contains(telling, name) {
			continue
		}
		for _, value := range h[name] {
			lines = append(lines, headerLine{name, shortTokens(value)})
		}
	}
	return lines
}

// A run of tokenRun characters is a token if it looks random, and then nobody
// reads more than its ends.
var tokenRun = regexp.MustCompile(`[A-Za-z0-9_.\-]{20,}`)

// shortTokens shortens what looks like a token.
func shortTokens(text string) string {
	return tokenRun.ReplaceAllStringFunc(text, func(run string) string {
		upper, digit := strings.ContainsAny(run, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), strings.ContainsAny(run, "0123456789")
		if upper && digit || run == strings.ToUpper(run) && upper {
			return run[:12] + "…" + run[len(run)-4:]
		}
		return run
	})
}

func pictureURL(png []byte) template.URL {
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png))
}

func statusText(status int) string {
	if status == 0 {
		return "no answer"
	}
	return strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status)))
}
