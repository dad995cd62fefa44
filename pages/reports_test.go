package pages_test

import (
	"strings"
	"testing"

	"github.com/pawlauth/pawl/pages"
)

// Browsers report violations where they are told to, and nowhere otherwise.
//
// Rows: 52
func TestViolationsAreReported(t *testing.T) {
	for _, place := range []string{"", "/csp", "https://reports.example/csp?app=1"} {
		w := newWorld(t, change{pages: func(o *pages.Options) { o.CSPReports = place }})
		h := w.browser().get("/auth/signin").Header()
		policy, endpoints := h.Get("Content-Security-Policy"), h.Get("Reporting-Endpoints")
		told := strings.Contains(policy, "; report-uri "+place+"; report-to csp") && endpoints == `csp="`+place+`"`
		if place != "" && !told || place == "" && (strings.Contains(policy, "report") || endpoints != "") {
			t.Errorf("%q: policy %q, endpoints %q", place, policy, endpoints)
		}
	}
}

// What would end the policy's directive or the header's text is refused.
func TestPlaceForReportsIsPlain(t *testing.T) {
	for _, place := range []string{"csp", "//evil.example", "http://reports.example/", "https:", "https://u@reports.example/",
		"/csp; script-src *", "https://reports.example/; script-src *", "https://reports.example/\r\nX: y", `https://reports.example/"`, "/a,b", "javascript:x"} {
		if pages.CheckReports(place) == nil {
			t.Errorf("%q is accepted", place)
		}
	}
}
