package lab

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Secrets that a report is made with below; each looks like one of the lab's.
const (
	seenJWT     = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2FwcC5iYW5rMi50ZXN0In0.aTvBFHl33z9PodEVHF352ljDB8fDqyRSSFXkMtebFg4"
	seenRefresh = "pawl_rt_AajYv_2YkY9t_CwS-tTX2J3ghqITAYYkHLUjxKFzah-Rv49d5zKOuXHZrD0Qaw"
	seenID      = "YGCZKVGFBRVFAIOQUQZWKIUYVT" // without a digit, as one in two hundred is
)

// imagined are results that nobody has seen, with everything that a report can
// show.
func imagined() *Results {
	r := &Results{Ways: Ways(), Attacks: Attacks()}
	verdicts := []Outcome{refused("It was refused."), detected(3, "It was found."), inPlace("It was used."), elsewhere("It was stolen."), notApplicable("There is none.")}
	for i, a := range r.Attacks {
		row := make([]Cell, len(r.Ways))
		for j, w := range r.Ways {
			row[j] = Cell{Way: w, Attack: a, Outcome: verdicts[(i+j)%len(verdicts)], Seen: []Step{{Did: "The owner opens <a page>.", Picture: []byte("\x89PNG\r\n"), Exchanges: []Exchange{{
				Who: "browser", Method: "POST", URL: "https://app.bank.test/export?token=" + seenJWT, Body: `{"refresh_token":"` + seenRefresh + `"}`, Status: http.StatusOK,
				Request: http.Header{"Cookie": {"sid=" + seenID}, "Authorization": {"Bearer " + seenJWT}, "Accept-Language": {"noise"}},
				Header:  http.Header{"Set-Cookie": {"__Secure-pawl-refresh=" + seenRefresh + "; Path=/auth; HttpOnly"}},
				Answer:  `<script src="https://app.bank.test/evil.js">alert(1)</script>` + seenJWT,
			}}}}}
		}
		r.Cells = append(r.Cells, row)
	}
	r.Cells[0][0].Fault = errors.New("the lamp has fallen over")
	return r
}

func report(t *testing.T) string {
	t.Helper()
	page, err := imagined().Report()
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// A report needs nothing but itself: it asks for nothing, runs nothing, and
// what attackers wrote is text in it.
func TestReportNeedsNothingElse(t *testing.T) {
	page := report(t)
	for _, attribute := range regexp.MustCompile(`\s(?:href|src|srcset|action|poster)="[^"]*"`).FindAllString(page, -1) {
		if !strings.Contains(attribute, `="#`) && !strings.Contains(attribute, `="data:`) {
			t.Errorf("a report has%s", attribute)
		}
	}
	if strings.Contains(strings.ToLower(page), "<script") {
		t.Error("a report has a script")
	}
	if !strings.Contains(page, "default-src 'none'; img-src data:; style-src 'unsafe-inline'") {
		t.Error("a report has no policy")
	}
}

// Every cell of the table leads to what was done and seen.
func TestReportLeadsToEveryCell(t *testing.T) {
	r, page := imagined(), report(t)
	for _, row := range r.Cells {
		for _, c := range row {
			if n := strings.Count(page, `href="#`+reportID(c)+`"`); n != 1 {
				t.Errorf("%d links to %s", n, reportID(c))
			}
			if n := strings.Count(page, `id="`+reportID(c)+`"`); n != 1 {
				t.Errorf("%s is there %d times", reportID(c), n)
			}
		}
	}
	for _, text := range []string{"the lamp has fallen over", "detected (3)", "The owner opens &lt;a page&gt;.", "It was stolen.", "data:image/png;base64,iVBORw0K"} {
		if !strings.Contains(page, text) {
			t.Errorf("a report does not say %q", text)
		}
	}
}

// Nobody can copy a token out of a report.
func TestReportShortensTokens(t *testing.T) {
	page := report(t)
	for _, secret := range []string{seenJWT, seenRefresh, seenID} {
		for start := 0; start+20 <= len(secret); start++ {
			if strings.Contains(page, secret[start:start+20]) {
				t.Fatalf("a report has %q", secret[start:start+20])
			}
		}
		if !strings.Contains(page, secret[:12]+"…") {
			t.Errorf("a report does not show that there was %q", secret)
		}
	}
	if strings.Contains(page, "noise") {
		t.Error("a report shows headers that tell nothing")
	}
}

// A report can be read on a telephone, and a link opens the cell that it leads
// to.
func TestReportInABrowser(t *testing.T) {
	n, err := newInternet()
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	path, err := findBrowser("")
	if errors.Is(err, ErrNoBrowser) && os.Getenv("CI") != "true" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	b, err := startBrowser(t.Context(), path, n)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	page := report(t)
	n.host("report.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("a report asked for %s", r.URL.Path)
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(page))
	}))
	s := &stage{ctx: t.Context(), net: n, browser: b, app: "https://report.test"}
	defer func() {
		for _, tab := range s.tabs {
			tab.close()
		}
		if fault := recover(); fault != nil {
			stopped, ok := fault.(broken)
			if !ok {
				panic(fault)
			}
			t.Error(stopped.err)
		}
	}()
	tab := s.tab()
	for _, width := range []int64{360, 1280} {
		tab.do(chromedp.EmulateViewport(width, 800))
		c := imagined().Cells[1][2]
		tab.visit("/#" + reportID(c))
		tab.await(`document.readyState === "complete"`)
		if wide := eval[int64](tab, "document.documentElement.scrollWidth"); wide > width {
			t.Errorf("a report is %d wide on %d", wide, width)
		}
		if !eval[bool](tab, `document.querySelector(location.hash).closest("details").open && document.querySelector(location.hash).getBoundingClientRect().top < innerHeight`) {
			t.Errorf("the link to %s does not show it", reportID(c))
		}
	}
}
