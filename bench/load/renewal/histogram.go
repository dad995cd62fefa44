package renewal

import (
	"math"
	"math/bits"
	"time"
)

// precision is how many buckets there are for each doubling, as a power of
// two: a bucket is at most 1/128 of its values wide, and is reported as its
// middle, so that a quantile is wrong by at most 0.4 %.
const precision = 7

// A Histogram counts durations in buckets whose width grows with their value.
// The zero value is empty. Its methods must not be called concurrently.
type Histogram struct {
	counts [(64 - precision) << precision]uint64
	total  uint64
	max    time.Duration
}

// Add counts one duration; one below zero counts as zero.
func (h *Histogram) Add(d time.Duration) {
	d = max(0, d)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds what another one counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count is how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the greatest, exactly; 0 if there are none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the least duration that is not exceeded by the share q of
// all, 0 < q ≤ 1, to 0.4 % (and the nanosecond); 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := max(1, uint64(math.Ceil(q*float64(h.total)))), uint64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return min(h.max, middleOf(i))
		}
	}
	return h.max
}

// bucketOf numbers the buckets: values below 1<<(precision+1) have one each,
// and above each doubling has 1<<precision.
func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-precision-1)
	return shift<<precision + int(v>>shift)
}

func middleOf(bucket int) time.Duration {
	shift := max(0, bucket>>precision-1)
	low := uint64(bucket-shift<<precision) << shift
	return time.Duration(low + (uint64(1)<<shift)/2)
}
