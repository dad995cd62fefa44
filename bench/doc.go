// Package bench puts Pawl's fast paths beside the bare work they cannot do
// without, and beside other people's libraries doing the same. It owns the
// sides of each comparison; "go test -bench" times one at a time, and the
// program in measure times them in turns and prints ratios.
//
// It is a module of its own, so that the libraries it compares with stay out
// of Pawl's dependencies. It refuses to time a side that does not do the work:
// every operation reports an error when its outcome is not the expected one.
package bench
