package server

import (
	"os"
	"runtime"
	"testing"
)

func TestHeapIsHeldUnlessTheEnvironmentSaysOtherwise(t *testing.T) {
	defer func() { ballast = nil }()
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv(name, "100")
		HoldHeap()
		if ballast != nil {
			t.Errorf("%s is not heeded", name)
		}
		os.Unsetenv(name) // Setenv restores it
	}
	HoldHeap()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.NextGC < 2*heapFloor {
		t.Errorf("the next collection is at %d bytes, want at least %d", m.NextGC, 2*heapFloor)
	}
	runtime.KeepAlive(ballast)
}
