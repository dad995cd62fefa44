//go:build !linux

package renewal

import "time"

// preciseSleep is as precise as the system's timers.
func preciseSleep() func(time.Duration) { return time.Sleep }
