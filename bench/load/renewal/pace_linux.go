package renewal

import (
	"runtime"
	"syscall"
	"time"
)

// prSetTimerSlack is prctl(2)'s PR_SET_TIMERSLACK.
const prSetTimerSlack = 29

// preciseSleep returns a function that sleeps to some 10 µs, for use by the
// goroutine that called it: Go's own timers come up to a millisecond late on an
// idle machine, which is as long as what is measured. It keeps its thread, and
// with it the setting, to that goroutine.
func preciseSleep() func(time.Duration) {
	runtime.LockOSThread()
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0) // otherwise 50 µs
	return func(d time.Duration) {
		for d > 0 {
			wait, rest := syscall.NsecToTimespec(int64(d)), syscall.Timespec{}
			if err := syscall.Nanosleep(&wait, &rest); err == nil {
				return
			}
			d = time.Duration(rest.Nano())
		}
	}
}
