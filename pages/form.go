package pages

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
)

// A form is what a page asks for.
type form struct {
	Action     string
	Hidden     []hidden
	Person     *person // shown instead of a field
	Manager    string  // user name for a password manager, where it is not asked for
	Fields     []field
	Remember   bool // whether to ask
	Remembered bool // what was answered
	Button     message
}

type hidden struct{ Name, Value string }

// A field is one thing to type. Only what is no secret is ever sent back.
type field struct {
	Name         string
	Label        message
	Secret       bool
	Autocomplete string
	Value        string
	Hint, Fault  message
	Focus        bool
}

// focus puts the cursor where something is wrong, or into the first field
// that is still empty.
func (f *form) focus() {
	if len(f.Fields) == 0 {
		return
	}
	at := slices.IndexFunc(f.Fields, func(x field) bool { return x.Fault.Given() })
	if at < 0 {
		at = max(0, slices.IndexFunc(f.Fields, func(x field) bool { return x.Secret || x.Value == "" }))
	}
	f.Fields[at].Focus = true
}

// Bounds of a form, in bytes. What is longer is read to its end, up to a
// bound, or the browser would show a broken connection instead of the answer.
const (
	maxForm  = 16 << 10
	maxDrain = 4 << 20
)

const formMedia = "application/x-www-form-urlencoded"

// A formError says why a form was not read.
type formError struct{ httpapi.Description }

func (e *formError) Error() string { return "pages: " + e.Code }

var (
	errMalformedForm = &formError{httpapi.Description{Status: http.StatusBadRequest, Code: "malformed_form"}}
	errLongForm      = &formError{httpapi.Description{Status: http.StatusRequestEntityTooLarge, Code: "too_large"}}
)

// readForm reads the fields of a form: each of those that must be there, and
// of those that may be, each once, and no other (OWASP ASVS 5.0 §15.3.3: a
// field that is not asked for sets nothing). The body is there for another
// reader afterwards: httpauth looks for the CSRF token in it.
func readForm(r *http.Request, must, may []string) (map[string]string, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil {
		return nil, errMalformedForm
	}
	if len(body) > maxForm {
		io.Copy(io.Discard, io.LimitReader(r.Body, maxDrain)) // what breaks off needs no answer
		return nil, errLongForm
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errMalformedForm
	}
	out := make(map[string]string, len(values))
	for name, list := range values {
		known := name == httpauth.CSRFField || slices.Contains(must, name) || slices.Contains(may, name)
		if !known || len(list) != 1 {
			return nil, errMalformedForm
		}
		out[name] = list[0]
	}
	for _, name := range must {
		if _, ok := out[name]; !ok {
			return nil, errMalformedForm
		}
	}
	return out, nil
}

// describe says what a failure means, whoever found it.
func describe(err error) httpapi.Description {
	if own, ok := errors.AsType[*formError](err); ok {
		return own.Description
	}
	return httpapi.Describe(err)
}
