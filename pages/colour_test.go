package pages

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhateverTheColourItCanBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.IntRange(0, 255)
		c := colour{float64(part.Draw(t, "red")) / 255, float64(part.Draw(t, "green")) / 255, float64(part.Draw(t, "blue")) / 255}
		p := newPalette(c)
		for _, pair := range [][2]string{{p.OnFill, p.Fill}, {p.Light, "#ffffff"}, {p.Light, "#f5f7f9"}, {p.Dark, "#10151b"}, {p.Dark, "#1a212a"}} {
			if got := contrast(mustColour(pair[0]), mustColour(pair[1])); got < readable {
				t.Errorf("%v: %s on %s has a contrast of %.2f", c, pair[0], pair[1], got)
			}
		}
		if back, err := parseColour(c.String()); err != nil || back != c {
			t.Errorf("%v is read back as %v, %v", c, back, err)
		}
	})
}

func TestColoursOfAnotherFormAreRefused(t *testing.T) {
	for _, text := range []string{"red", "#fff", "#12345", "#1234567", "#gggggg", "#-12345", "# 12345", "", "#12345\n", "url(x)"} {
		if _, err := parseColour(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestBrandIsChecked(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\n")
	for name, b := range map[string]Brand{
		"none": {}, "name": {Name: "Nordlicht Bank"}, "Arabic name": {Name: "بنك"}, "PNG": {Logo: png},
		"SVG": {Logo: []byte("<?xml version=\"1.0\"?>\n<svg/>")}, "colour": {Colour: "#00aa55"},
	} {
		if err := b.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string]Brand{
		"long name": {Name: strings.Repeat("n", 41)}, "override in the name": {Name: "a\u202eb"}, "bad UTF-8": {Name: "\xff"},
		"line break": {Name: "a\nb"}, "HTML as logo": {Logo: []byte("<html><script>1</script>")}, "text as logo": {Logo: []byte("logo")},
		"large logo": {Logo: append(png, make([]byte, maxLogo)...)}, "colour": {Colour: "red"},
	} {
		if err := b.Validate(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestLogoOfOnesOwnStandsBesideTheName(t *testing.T) {
	for _, c := range []struct {
		brand Brand
		want  string // end of the logo's path
	}{{Brand{}, ".svg"}, {Brand{Name: "Nordlicht"}, ""}, {Brand{Name: "Nordlicht", Logo: []byte("\x89PNG\r\n\x1a\n")}, ".png"}, {Brand{Logo: []byte("<svg/>")}, ".svg"}} {
		s, assets, err := loadSite("/auth", "/", c.brand)
		if err != nil {
			t.Fatal(err)
		}
		if (s.Logo == "") != (c.want == "") || !strings.HasSuffix(s.Logo, c.want) {
			t.Errorf("%+v: logo %q", c.brand.Name, s.Logo)
		}
		for _, path := range []string{s.Style, s.Icon, s.form, s.renew} {
			if len(assets[path].body) == 0 {
				t.Errorf("no asset %q", path)
			}
		}
	}
}
