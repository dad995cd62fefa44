// Package cputime owns the count of processor time: of named processes with
// all their children, and of the whole machine, from /proc (proc(5)). It
// refuses a process that is not there when counting begins. The load generator
// and the floors call it.
package cputime
