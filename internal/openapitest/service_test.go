package openapitest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/pawlauth/pawl/docs"
	"github.com/pawlauth/pawl/session"
)

const services = "openapi-service.yaml"

// Every route for services is described, and nothing else is.
//
// Rows: 179
func TestServiceDocumentHasEveryRoute(t *testing.T) {
	var described []string
	read(t, services).operations(func(method, path string, op *v3.Operation) {
		described = append(described, method+" "+path)
		if !strings.Contains(op.Description, "cope `") && path != "/v1/openapi.yaml" {
			t.Errorf("%s %s does not name its scope", method, path)
		}
	})
	slices.Sort(described)
	routes := newWorld(t).service.Routes()
	if len(routes) < 10 || !slices.Equal(described, routes) {
		t.Errorf("described:\n%s\nthere are:\n%s", strings.Join(described, "\n"), strings.Join(routes, "\n"))
	}
}

// serviceExchanges are at least one for each status of each operation but 429.
func (w *world) serviceExchanges() []exchange {
	ada, other, gone := "/v1/users/"+w.ada.ID, w.start(session.Bearer, "cli").Row.ID.String(), strings.Repeat("A", 21)+"Q"
	good := []string{jsonBody, gateway}
	start := func(more string) string { return `{"user_id":"` + w.ada.ID + `","amr":["pwd"],` + more + `}` }
	bind := `"transport":"cookie","remember":true,"handoff":"` + binding.String() + `"`
	subject := func(text string) string { return `{"sub_id":` + text + `}` }
	used := `{"session":"` + other + `","generation":2,"issued_at":1795435200}`
	all := []exchange{
		{"POST", "/v1/users", `{"username":"grace","password":"a long enough phrase"}`, good, 201, false},
		{"POST", "/v1/users", `{"username":"mary"}`, good, 201, false},
		{"POST", "/v1/users", `{"username":"x","role":"admin"}`, good, 400, true},
		{"POST", "/v1/users", `{"username":"ada"}`, good, 409, false},
		{"POST", "/v1/users", `{"username":"x","password":"short"}`, good, 422, false},
		{"GET", ada, "", good[1:], 200, false},
		{"GET", "/v1/users/nobody", "", good[1:], 404, false},
		{"POST", ada + "/disable", "", good[1:], 204, false},
		{"POST", "/v1/users/nobody/disable", "", good[1:], 404, false},
		{"POST", "/v1/sessions", start(`"transport":"bearer","client_id":"cli"`), good, 403, false},
		{"POST", ada + "/enable", "", good[1:], 204, false},
		{"POST", "/v1/users/nobody/enable", "", good[1:], 404, false},
		{"POST", "/v1/sessions", start(`"transport":"bearer","client_id":"cli","scope":"read"`), good, 200, false},
		{"POST", "/v1/sessions", start(bind), good, 200, false},
		{"POST", "/v1/sessions", start(`"transport":"cookie"`), good, 400, true},
		{"POST", "/v1/sessions", start(`"transport":"bearer","client_id":"cli",` + bind[len(`"transport":"cookie",`):]), good, 400, true},
		{"POST", "/v1/sessions", start(`"transport":"bearer","username":"ada"`), good, 400, true},
		{"POST", "/v1/sessions", `{"user_id":"x","transport":"bearer","client_id":"cli","amr":[]}`, good, 400, true},
		{"POST", "/v1/sessions", `{"username":"nobody","transport":"bearer","client_id":"cli","amr":["pwd"]}`, good, 404, false},
		{"POST", "/v1/sessions", `{"username":"\u0000","transport":"bearer","client_id":"cli","amr":["pwd"]}`, good, 422, false},
		{"GET", "/v1/sessions?limit=1&user_id=" + w.ada.ID, "", good[1:], 200, false},
		{"GET", "/v1/sessions?user_id=" + w.ada.ID, "", good[1:], 200, false},
		{"GET", "/v1/sessions", "", good[1:], 400, true},
		{"DELETE", "/v1/sessions/" + other, "", good[1:], 204, false},
		{"DELETE", "/v1/sessions/" + gone, "", good[1:], 204, false},
		{"DELETE", "/v1/sessions/x", "", good[1:], 404, true},
		{"DELETE", ada + "/sessions", "", good[1:], 204, false},
		{"POST", "/v1/revoke-user", subject(`{"format":"opaque","id":"` + w.ada.ID + `"}`), good, 204, false},
		{"POST", "/v1/revoke-user", subject(`{"format":"iss_sub","iss":"` + origin + `","sub":"` + w.ada.ID + `"}`), good, 204, false},
		{"POST", "/v1/revoke-user", subject(`{"format":"email","email":"a@example.com"}`), good, 400, true},
		{"POST", "/v1/revoke-user", subject(`{"format":"opaque","id":"nobody"}`), good, 404, false},
		{"POST", "/v1/revoke-user", subject(`{"format":"iss_sub","iss":"https://evil.example","sub":"x"}`), good, 422, false},
		{"GET", "/v1/events", "", good[1:], 200, false},
		{"GET", "/v1/events?after=7&limit=2", "", good[1:], 200, false},
		{"GET", "/v1/events?limit=0", "", good[1:], 400, true},
		{"GET", "/v1/revocations", "", append([]string{"Last-Event-ID: x-1"}, good[1:]...), 200, false},
		{"POST", "/v1/uses", `{"uses":[` + used + `]}`, good, 204, false},
		{"POST", "/v1/uses", `{"uses":[]}`, good, 400, true},
		{"GET", "/v1/openapi.yaml", "", good[1:], 200, false},
		{"POST", "/v1/end-everyone", "", good[1:], 200, false},
	}
	// What every route answers to whom it does not know or has not allowed.
	seen := map[string]bool{}
	for _, x := range slices.Clone(all) {
		if name := x.method + " " + template(x.path); x.wrong || seen[name] {
			continue
		} else {
			seen[name] = true
		}
		denied := poor
		if strings.HasSuffix(x.path, "/uses") {
			denied = "Authorization: Basic b3RoZXI6czNjcmV0" // other:s3cret
		}
		headers := func(more ...string) []string {
			if x.body != "" {
				more = append(more, jsonBody)
			}
			return more
		}
		all = append(all, exchange{x.method, x.path, x.body, headers(), 401, false}, exchange{x.method, x.path, x.body, headers(denied), 403, false})
		if strings.HasSuffix(x.path, ".yaml") {
			all[len(all)-1].headers, all[len(all)-1].status = headers(gateway, page), 403 // every service may
		}
		if x.body != "" {
			all = append(all, exchange{x.method, x.path, x.body + strings.Repeat(" ", 65<<10), headers(gateway), 413, false},
				exchange{x.method, x.path, x.body, []string{form, gateway}, 415, true})
		}
	}
	return all
}

// The answers to services, good and bad, are as described; a request that is
// served was described too, and one that is not, was not.
//
// Rows: 152, 179
func TestServiceAnswersAreAsDescribed(t *testing.T) {
	d, w := read(t, services), newWorld(t)
	w.handler = w.service
	missing := map[string]bool{} // "GET /path 200"
	d.operations(func(method, path string, op *v3.Operation) {
		for status := range op.Responses.Codes.FromOldest() {
			missing[fmt.Sprintf("%s %s %s", method, path, status)] = true
		}
		if op.Responses.Default == nil {
			t.Errorf("%s %s does not say how it fails", method, path)
		}
	})
	exchanges := w.serviceExchanges()
	for _, x := range exchanges {
		delete(missing, fmt.Sprintf("%s %s %d", x.method, template(x.path), d.check(w, x)))
	}
	for _, x := range exchanges {
		name := fmt.Sprintf("%s %s 429", x.method, template(x.path))
		if !missing[name] || x.status != 401 {
			continue
		}
		x.headers, x.status = append(slices.Clone(x.headers), wrong), 429
		for range 30 {
			if _, resp := w.send(x.method, x.path, x.body, x.headers); resp.StatusCode == 429 {
				delete(missing, fmt.Sprintf("%s %s %d", x.method, template(x.path), d.check(w, x)))
				break
			}
		}
	}
	w.service.EndStreams()
	delete(missing, fmt.Sprintf("GET /v1/revocations %d", d.check(w, exchange{"GET", "/v1/revocations", "", []string{gateway}, 503, false})))
	w.store.fails = true
	d.check(w, exchange{"GET", "/v1/sessions?user_id=x", "", []string{gateway}, 503, false})
	for _, what := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("nothing shows %s", what)
	}
}

func TestServiceDocumentIsTheOneThatIsServed(t *testing.T) {
	w := newWorld(t)
	w.handler = w.service
	_, resp := w.send("GET", "/v1/openapi.yaml", "", []string{gateway})
	body := make([]byte, len(docs.ServiceAPI)+1)
	n, _ := resp.Body.Read(body)
	if string(body[:n]) != string(docs.ServiceAPI) || resp.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%d bytes of %d, as %s", n, len(docs.ServiceAPI), resp.Header.Get("Content-Type"))
	}
}
