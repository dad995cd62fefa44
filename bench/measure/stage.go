package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
)

// errAbsent says that something is not installed here.
var errAbsent = errors.New("it cannot be measured here")

// A stage stands in for a test outside of one, for what internal/pgtest asks
// of tests: to end when something fails, and to clean up. One goroutine at a
// time calls its methods.
type stage struct {
	testing.TB // nil: no other method is called

	ends []func()
	err  error
}

// onStage runs f, then what was to be done at its end, last first.
func onStage(f func(testing.TB) error) error {
	s, ended := &stage{}, make(chan struct{})
	go func() { // which failures end, as they do a test's
		defer close(ended)
		defer s.end()
		err := f(s)
		s.err = errors.Join(s.err, err)
	}()
	<-ended
	return s.err
}

func (s *stage) end() {
	for _, f := range slices.Backward(s.ends) {
		f()
	}
}

func (s *stage) Helper()          {}
func (s *stage) Failed() bool     { return s.err != nil }
func (s *stage) Cleanup(f func()) { s.ends = append(s.ends, f) }

func (s *stage) Error(args ...any) { s.err = errors.Join(s.err, errors.New(fmt.Sprint(args...))) }

func (s *stage) Logf(format string, args ...any) {
	if s.Failed() {
		s.Error(fmt.Sprintf(format, args...))
	}
}

func (s *stage) Fatal(args ...any) {
	s.Error(args...)
	runtime.Goexit()
}

func (s *stage) Fatalf(format string, args ...any) { s.Fatal(fmt.Sprintf(format, args...)) }

func (s *stage) Skip(args ...any) {
	s.err = errors.Join(s.err, fmt.Errorf("%w: %s", errAbsent, fmt.Sprint(args...)))
	runtime.Goexit()
}
