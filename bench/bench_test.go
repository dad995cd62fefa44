package bench

import (
	"strings"
	"sync"
	"testing"
)

var groups = sync.OnceValues(Groups)

// Benchmark times every side of every group alone. The ratios are better
// taken from the program in measure, which times them in turns.
func Benchmark(b *testing.B) {
	all, err := groups()
	if err != nil {
		b.Fatal(err)
	}
	for _, g := range all {
		for _, s := range g.Sides {
			b.Run(strings.ReplaceAll(g.Name+"/"+s.Name, " ", "_"), func(b *testing.B) {
				b.ReportAllocs()
				var op func() error
				left := 0 // until the next preparation
				for range b.N {
					if left == 0 {
						b.StopTimer()
						if op, err = s.Prepare(); err != nil {
							b.Fatal(err)
						}
						if left = s.Limit; left == 0 {
							left = b.N
						}
						b.StartTimer()
					}
					if err := op(); err != nil {
						b.Fatal(err)
					}
					left--
				}
			})
		}
	}
}

func TestEverySideDoesItsWork(t *testing.T) {
	all, err := groups()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no group")
	}
	for _, g := range all {
		for _, s := range g.Sides {
			op, err := s.Prepare()
			if err != nil {
				t.Fatalf("%s: %s: %v", g.Name, s.Name, err)
			}
			for range 3 {
				if err := op(); err != nil {
					t.Errorf("%s: %s: %v", g.Name, s.Name, err)
				}
			}
		}
	}
}
