package pages

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

//go:embed assets
var assetFiles embed.FS

// A Brand is how the pages look like yours. The zero Brand is Pawl's.
type Brand struct {
	_ struct{} // only fields by name

	// Name is shown on every page, 1 to 40 characters; empty: Pawl.
	Name string
	// Logo is a picture of at most 256 KiB: SVG, PNG, JPEG or WebP. It is shown
	// 32 pixels high beside the name. None: only the name, or Pawl's own.
	Logo []byte
	// Colour is of the main button, "#rrggbb"; empty: a calm blue. Links and
	// the text on the button are derived from it so that they can be read
	// (WCAG 2.2 §1.4.3).
	Colour string
}

const (
	defaultName   = "Pawl"
	defaultColour = "#2357c5"
	maxName       = 40
	maxLogo       = 256 << 10
)

// Validate returns every fault of the brand at once.
func (b Brand) Validate() error {
	var faults []error
	notShown := func(c rune) bool { return !unicode.IsPrint(c) }
	if !utf8.ValidString(b.Name) || utf8.RuneCountInString(b.Name) > maxName || strings.ContainsFunc(b.Name, notShown) {
		faults = append(faults, fmt.Errorf("brand name %q is longer than %d characters, or has some that are not shown", b.Name, maxName))
	}
	if len(b.Logo) > maxLogo {
		faults = append(faults, fmt.Errorf("logo of %d bytes is larger than %d", len(b.Logo), maxLogo))
	} else if len(b.Logo) > 0 && logoType(b.Logo) == "" {
		faults = append(faults, errors.New("logo is neither SVG, PNG, JPEG nor WebP"))
	}
	if b.Colour != "" {
		if _, err := parseColour(b.Colour); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// logoType is the media type of a picture; empty if it is none that is taken.
func logoType(picture []byte) string {
	switch media := http.DetectContentType(picture); media {
	case "image/png", "image/jpeg", "image/webp":
		return media
	}
	if start := bytes.TrimSpace(picture[:min(len(picture), 1024)]); bytes.HasPrefix(start, []byte("<")) && bytes.Contains(start, []byte("<svg")) {
		return "image/svg+xml"
	}
	return ""
}

// A site is what all pages have in common.
type site struct {
	Brand string
	Home  string
	Logo  string // path; empty: none
	Icon  string // path
	Style string // path
	// Passwords says that users have passwords here, which they can change.
	Passwords bool

	form  string // path of a script
	renew string // path of a script

	prefix string
}

// Path returns the path of a page or route below the prefix.
func (s *site) Path(below string) string { return s.prefix + below }

// An asset is a file that never changes under its path.
type asset struct {
	media string
	body  []byte
}

// loadSite makes what all pages have in common, and the assets by path.
func loadSite(prefix, home string, b Brand) (site, map[string]asset, error) {
	accent, err := parseColour(cmp.Or(b.Colour, defaultColour))
	if err != nil {
		return site{}, nil, err
	}
	s := site{Brand: cmp.Or(b.Name, defaultName), Home: home, prefix: prefix}
	assets := make(map[string]asset)
	add := func(end, media string, body []byte) string {
		sum := sha256.Sum256(body)
		path := s.Path("/assets/" + base64.RawURLEncoding.EncodeToString(sum[:12]) + "." + end)
		assets[path] = asset{media, body}
		return path
	}
	colours := newPalette(accent)
	for name, to := range map[string]*string{"style.css": &s.Style, "form.js": &s.form, "renew.js": &s.renew, "logo.svg": &s.Icon} {
		body, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return site{}, nil, err
		}
		_, end, _ := strings.Cut(name, ".")
		if end != "js" {
			if body, err = fillIn(name, string(body), colours); err != nil {
				return site{}, nil, err
			}
		}
		*to = add(end, mediaTypes[end], body)
	}
	switch {
	case len(b.Logo) > 0:
		media := logoType(b.Logo)
		s.Logo = add(strings.TrimSuffix(strings.TrimPrefix(media, "image/"), "+xml"), media, b.Logo)
		s.Icon = s.Logo
	case b.Name == "":
		s.Logo = s.Icon
	}
	return s, assets, nil
}

var mediaTypes = map[string]string{
	"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
}

// fillIn writes the colours into a file of ours. They are "#rrggbb" of our own
// making, so nothing needs escaping.
func fillIn(name, text string, colours palette) ([]byte, error) {
	t, err := template.New(name).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, colours)
	return out.Bytes(), err
}

// serveAsset answers with a file. Its path changes with its content, so it may
// be kept for good. The policy keeps a picture with script in it from running
// when it is opened by itself.
func (p *Pages) serveAsset(v visit, a asset) {
	p.harden(v, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
	h := v.w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", a.media)
	h.Set("Content-Length", fmt.Sprint(len(a.body)))
	v.w.WriteHeader(http.StatusOK)
	if v.r.Method != http.MethodHead {
		v.w.Write(a.body) // who has gone away needs no answer
	}
}
