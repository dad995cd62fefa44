package renewal

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// A power of two for the magnitude, so that all magnitudes come up.
		one := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Uint64Range(0, 1<<rapid.IntRange(0, 62).Draw(t, "magnitude")).Draw(t, "value"))
		})
		all := rapid.SliceOfN(one, 1, 300).Draw(t, "all")
		var whole Histogram
		var parts [3]Histogram
		for i, d := range all {
			parts[i%len(parts)].Add(d)
		}
		for i := range parts {
			whole.Merge(&parts[i])
		}
		slices.Sort(all)
		for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1, rapid.Float64Range(0.0001, 1).Draw(t, "q")} {
			exact := all[max(1, int(math.Ceil(q*float64(len(all)))))-1]
			got := whole.Quantile(q)
			if off := math.Abs(float64(got - exact)); off > 0.01*float64(exact) {
				t.Fatalf("quantile %v is %d, want %d: off by %.2f %%", q, got, exact, 100*off/float64(exact))
			}
		}
		if whole.Max() != all[len(all)-1] || whole.Count() != uint64(len(all)) {
			t.Fatalf("max %v, count %d", whole.Max(), whole.Count())
		}
	})
}

// Every value is in the bucket whose middle is near, and buckets follow one
// another without a gap.
func TestBucketsHaveNoGaps(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 255, 256, 257, 511, 512, 1 << 20, 1<<20 - 1, 1 << 62, math.MaxInt64} {
		b := bucketOf(v)
		if b < 0 || b >= len(Histogram{}.counts) {
			t.Fatalf("%d is in bucket %d", v, b)
		}
		if v > 0 && bucketOf(v-1) != b && bucketOf(v-1) != b-1 {
			t.Errorf("%d is in bucket %d, the value before in %d", v, b, bucketOf(v-1))
		}
		if bucketOf(uint64(middleOf(b))) != b {
			t.Errorf("the middle of bucket %d is in %d", b, bucketOf(uint64(middleOf(b))))
		}
	}
}

func TestEmptyHistogramSaysNothing(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("an empty histogram has values")
	}
	if h.Add(-1); h.Quantile(1) != 0 || h.Count() != 1 {
		t.Error("a duration below zero is not zero")
	}
}
