package lab

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// A device is a program that holds what a browser would: the cookies, and what
// the page's script keeps. It says of its requests what a page of the bank
// would, as everybody can who is no browser.
type device struct {
	stage *stage
	who   string // "owner" or "thief"

	jar             map[string]biscuit // by name
	access, refresh string             // what script keeps
}

// A biscuit is a cookie of the bank.
type biscuit struct{ value, path string }

// device returns one that holds nothing.
func (s *stage) device(who string) *device {
	return &device{stage: s, who: who, jar: make(map[string]biscuit)}
}

// copyFor returns a device of somebody else that holds the same.
func (d *device) copyFor(who string) *device {
	out := *d
	out.who, out.jar = who, maps.Clone(d.jar)
	return &out
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// as reads the answer's JSON into v. What is not meant to be there is left.
func (a answer) as(v any) error {
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("answer %d: %w", a.status, err)
	}
	return nil
}

// ask makes a request of the bank. The body's type is told by its beginning:
// JSON or a form.
func (d *device) ask(method, path, body string) (answer, error) {
	r, err := http.NewRequestWithContext(d.stage.ctx, method, d.stage.app+path, strings.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	r.Header.Set("User-Agent", d.who)
	r.Header.Set("Origin", d.stage.app)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	if d.access != "" && !strings.HasPrefix(path, "/auth/") {
		r.Header.Set("Authorization", "Bearer "+d.access)
	}
	for _, name := range slices.Sorted(maps.Keys(d.jar)) {
		if c := d.jar[name]; strings.HasPrefix(r.URL.Path, c.path) {
			r.Header.Set("Cookie", strings.TrimPrefix(r.Header.Get("Cookie")+"; "+name+"="+c.value, "; "))
		}
	}
	response, err := d.stage.http.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	for _, c := range response.Cookies() {
		if c.MaxAge < 0 {
			delete(d.jar, c.Name)
		} else {
			d.jar[c.Name] = biscuit{c.Value, c.Path}
		}
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer{response.StatusCode, response.Header, text}, nil
}

// credentials is what a customer types, as JSON and as a form.
func credentials(name string) string {
	return fmt.Sprintf(`{"username":%q,"password":%q}`, name, password)
}

func credentialsForm(name string) string {
	return url.Values{"username": {name}, "password": {password}}.Encode()
}

// me asks the bank who it is speaking to; empty: nobody. Every build's [build.use]
// ends here.
func (d *device) me() (string, error) {
	a, err := d.ask("GET", "/api/me", "")
	if err != nil || a.status != http.StatusOK {
		return "", err
	}
	var me struct {
		Name string `json:"name"`
	}
	return me.Name, a.as(&me)
}
