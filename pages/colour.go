package pages

import (
	"fmt"
	"math"
	"strconv"
)

// A colour is one of the sRGB space, each part from 0 to 1.
type colour struct{ red, green, blue float64 }

var (
	white = colour{1, 1, 1}
	ink   = mustColour("#10151b") // near black; also the ground of the dark scheme
)

// Least contrasts of text with its ground: readable is that of WCAG 2.2 §1.4.3,
// level AA; on dark ground, colours want more to look as distinct.
const (
	readable = 4.5
	distinct = 6.5
)

// parseColour reads "#rrggbb".
func parseColour(text string) (colour, error) {
	if len(text) == 7 && text[0] == '#' {
		if n, err := strconv.ParseUint(text[1:], 16, 24); err == nil {
			part := func(shift uint) float64 { return float64(n>>shift&0xff) / 0xff }
			return colour{part(16), part(8), part(0)}, nil
		}
	}
	return colour{}, fmt.Errorf("colour %q is not of the form #rrggbb", text)
}

func mustColour(text string) colour {
	c, err := parseColour(text)
	if err != nil {
		panic(err)
	}
	return c
}

// String is the form that [parseColour] reads.
func (c colour) String() string {
	part := func(v float64) int { return int(math.Round(v * 0xff)) }
	return fmt.Sprintf("#%02x%02x%02x", part(c.red), part(c.green), part(c.blue))
}

// luminance is the relative luminance of WCAG 2.2.
func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.red) + 0.7152*linear(c.green) + 0.0722*linear(c.blue)
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b colour) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// mix is c with a share of other in it, from 0 to 1.
func (c colour) mix(other colour, share float64) colour {
	between := func(a, b float64) float64 { return a + (b-a)*share }
	return colour{between(c.red, other.red), between(c.green, other.green), between(c.blue, other.blue)}
}

// on is c, moved towards white or black only as far as it takes to have the
// contrast with the ground.
func (c colour) on(ground colour, least float64) colour {
	towards := white
	if contrast(ground, colour{}) > contrast(ground, white) {
		towards = colour{}
	}
	for share := 0.0; share < 1; share += 0.02 {
		// As it will be written, since rounding counts.
		if moved := mustColour(c.mix(towards, share).String()); contrast(moved, ground) >= least {
			return moved
		}
	}
	return towards
}

// A palette is what one accent colour becomes on light and dark ground.
type palette struct {
	Fill, FillHover, OnFill string // of the main button
	Light, Dark             string // of links and focus rings, by scheme
}

func newPalette(accent colour) palette {
	// The one that reads better; one of the two always does.
	onFill, hover := white, accent.mix(colour{}, 0.14)
	if contrast(accent, white) < readable {
		onFill, hover = ink, accent.mix(white, 0.14)
		if contrast(accent, ink) < readable {
			accent = accent.on(ink, readable)
			hover = accent.mix(white, 0.14)
		}
	}
	return palette{Fill: accent.String(), FillHover: hover.String(), OnFill: onFill.String(),
		Light: accent.on(mustColour("#f5f7f9"), readable).String(), Dark: accent.on(mustColour("#1a212a"), distinct).String()}
}
