package devapp

import (
	"fmt"
	"math"
	"strings"
)

// The wheel of the picture: in units of its own, the middle at 0, 0, angles in
// degrees, clockwise from the right.
const (
	teeth     = 12
	pitch     = 360.0 / teeth
	tipRadius = 97.0
	gapRadius = 80.0
	numberAt  = 66.0 // radius of the numbers
	top       = -90.0
	shown     = 5 // generations that keep their number, the newest included
)

// A wheel is the picture at one generation; 0: nobody is signed in.
type wheel struct{ Generation uint32 }

// A tooth is a number on the wheel.
type tooth struct {
	X, Y, Turn string
	Number     string // empty: that generation does not exist yet, or is long gone
	Newest     bool
}

// Outline is the path of the teeth. Each rises at once and falls slowly in
// the direction of the turn, so that the pawl holds it from the left.
func (wheel) Outline() string {
	var d strings.Builder
	for i := range teeth {
		angle := top + float64(i)*pitch
		x, y := at(gapRadius, angle)
		a, b := at(tipRadius, angle)
		fmt.Fprintf(&d, "%c%s %sL%s %s", "ML"[min(i, 1)], x, y, a, b)
	}
	return d.String() + "Z"
}

// Turn is how far the wheel has turned. Each generation is one tooth on.
func (w wheel) Turn() string { return fmt.Sprint(float64(w.Generation) * pitch) }

// Teeth are all teeth, by number of the generation modulo their count.
func (w wheel) Teeth() []tooth {
	out := make([]tooth, teeth)
	for slot := range out {
		angle := top - float64(slot)*pitch
		t := &out[slot]
		t.X, t.Y = at(numberAt, angle+pitch/4)
		t.Turn = fmt.Sprint(angle + pitch/4 - top)
	}
	for g := w.Generation; g > 0 && w.Generation-g < shown; g-- {
		out[g%teeth].Number, out[g%teeth].Newest = fmt.Sprint(g), g == w.Generation
	}
	return out
}

// at is the point at a radius and an angle.
func at(radius, angle float64) (x, y string) {
	sin, cos := math.Sincos(angle * math.Pi / 180)
	return fmt.Sprintf("%.2f", radius*cos), fmt.Sprintf("%.2f", radius*sin)
}
