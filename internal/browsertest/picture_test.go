package browsertest

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/page"
)

var update = flag.Bool("update", false, "write the pictures in docs/screenshots")

const (
	pictures   = "../../docs/screenshots"
	maxPicture = 80 << 10 // bytes
)

// alarm is the development application after an old token came: no page, so
// that no walk comes by it.
const alarm = "app"

// pictured are the states that the documents show, by language.
var pictured = map[string][]string{
	"en": {"signin", "signup-short", "signed-out", "cookies-off", "cross-site", "devices", "password", "confirm", "choose", "renew-busy", "signout", alarm},
	"ar": {"signin", "devices"},
}

// The pictures in the documents are of pages that there are. With -update they
// are made anew.
func TestPicturesAreOfPages(t *testing.T) {
	var names []string
	for _, language := range languages {
		for _, scheme := range schemes {
			for _, width := range widths {
				for _, st := range pictured[language] {
					names = append(names, picture(st, language, scheme, width))
				}
			}
		}
		if *update {
			walk(t, inChromium(t), language, func(t *testing.T, _ *site, b *tab, st state) {
				if slices.Contains(pictured[language], st.name) {
					take(t, b, st.name, language)
				}
			})
		}
	}
	if *update {
		_, b := newDevelopment(t, inChromium(t))
		b.click("#replay")
		b.await(`document.querySelector("main.ended") !== null`)
		take(t, b, alarm, languages[0])
	}
	files, err := filepath.Glob(filepath.Join(pictures, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxPicture {
			t.Errorf("%s has %d bytes, at most %d", file, info.Size(), maxPicture)
		}
		files[i] = filepath.Base(file)
	}
	slices.Sort(names)
	if !slices.Equal(files, names) {
		t.Errorf("docs/screenshots has %q, want %q; run go test ./internal/browsertest -run Pictures -update", files, names)
	}
}

func picture(state, language, scheme string, width int64) string {
	if language != languages[0] {
		state += "-" + language
	}
	return fmt.Sprintf("%s-%s-%d.png", state, scheme, width)
}

// take writes the pictures of the whole page that a tab shows.
func take(t *testing.T, b *tab, state, language string) {
	t.Helper()
	for _, scheme := range schemes {
		for _, width := range widths {
			b.look(scheme, width)
			// A taller window, not one clip beyond it, which shifts what is written
			// from right to left.
			height := eval[int64](b, "document.documentElement.scrollHeight")
			b.set(view{scheme, width, max(800, height)})
			shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data
			decoded, err := png.Decode(bytes.NewReader(shot))
			if err != nil {
				t.Fatal(err)
			}
			var small bytes.Buffer
			encoder := png.Encoder{CompressionLevel: png.BestCompression}
			if err := encoder.Encode(&small, fewer(decoded)); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(pictures, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(pictures, picture(state, language, scheme, width)), small.Bytes())
		}
	}
}

// fewer is a picture in its 256 most frequent colours, which is hardly seen and
// halves the file: the others are of the edges of letters.
func fewer(from image.Image) image.Image {
	bounds := from.Bounds()
	count := make(map[color.RGBA]int)
	at := func(x, y int) color.RGBA {
		r, g, b, _ := from.At(x, y).RGBA()
		return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0xff}
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var palette color.Palette
	for _, c := range frequent[:min(len(frequent), 256)] {
		palette = append(palette, c)
	}
	nearest := make(map[color.RGBA]uint8)
	to := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			index, known := nearest[c]
			if !known {
				index = uint8(palette.Index(c))
				nearest[c] = index
			}
			to.SetColorIndex(x, y, index)
		}
	}
	return to
}
