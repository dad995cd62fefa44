package server

import "os"

// heapFloor is what the collector takes the live heap to be at least, in
// bytes. A server's own is a few megabytes, after as many of which it would
// collect: many times a second while sessions are renewed, each time at a price
// that has nothing to do with how much there is to collect.
const heapFloor = 64 << 20

// ballast is never read or written, so that it takes addresses but no memory.
var ballast []byte

// HoldHeap makes collections rarer, for up to 64 MiB of memory, unless the
// environment says by GOGC or GOMEMLIMIT what is wanted. Call it once, from a
// program that is a server.
func HoldHeap() {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, said := os.LookupEnv(name); said {
			return
		}
	}
	ballast = make([]byte, heapFloor)
}
