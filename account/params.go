package account

import (
	"errors"
	"fmt"
)

// Params are the cost of one Argon2id hash.
type Params struct {
	Memory      uint32 // KiB; at most 262144 (256 MiB), at least 8 for each lane
	Time        uint32 // passes over the memory; 1 to 10
	Parallelism uint8  // lanes; 1 to 16

	// weak lets these parameters be below the floor. Only DangerouslyWeakParamsForTests sets it.
	weak bool
}

// DefaultParams are OWASP's first choice for Argon2id after its Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
func DefaultParams() Params { return Params{Memory: 19 * 1024, Time: 2, Parallelism: 1} }

// DangerouslyWeakParamsForTests are the cheapest parameters there are. Hashes made with them protect nobody: they are
// for tests that make many.
func DangerouslyWeakParamsForTests() Params {
	return Params{Memory: 8, Time: 1, Parallelism: 1, weak: true}
}

// ErrParams matches every refusal of hashing parameters.
var ErrParams = errors.New("password hashing parameters not allowed")

// floor holds the points of OWASP's Password Storage Cheat Sheet, which name equal strengths at different memory sizes.
// Parameters must reach one of them in both memory and time.
var floor = [...]Params{
	{Memory: 46 * 1024, Time: 1},
	{Memory: 19 * 1024, Time: 2},
	{Memory: 12 * 1024, Time: 3},
}

// The most that one hash may cost, made or read back. A damaged row can ask for no more than this: a few seconds of one
// core, in one slot.
const (
	maxMemory      = 256 * 1024 // KiB
	maxTime        = 10
	maxParallelism = 16
	memoryPerLane  = 8 // KiB, the least (RFC 9106 §3.1)
)

// checkBounds is what holds for every hash, also for one made elsewhere or long ago.
func (p Params) checkBounds() error {
	switch {
	case p.Parallelism < 1 || p.Parallelism > maxParallelism:
		return fmt.Errorf("%w: parallelism %d is not 1 to %d", ErrParams, p.Parallelism, maxParallelism)
	case p.Time < 1 || p.Time > maxTime:
		return fmt.Errorf("%w: time %d is not 1 to %d passes", ErrParams, p.Time, maxTime)
	case p.Memory < memoryPerLane*uint32(p.Parallelism) || p.Memory > maxMemory:
		return fmt.Errorf("%w: memory %d is not %d KiB for each lane to %d KiB", ErrParams, p.Memory, memoryPerLane, maxMemory)
	}
	return nil
}

// checkNew is what holds for hashes that are being made.
func (p Params) checkNew() error {
	if err := p.checkBounds(); err != nil {
		return err
	}
	if p.weak {
		return nil
	}
	for _, least := range floor {
		if p.Memory >= least.Memory && p.Time >= least.Time {
			return nil
		}
	}
	return fmt.Errorf("%w: memory %d KiB with time %d is below the floor; use at least %d KiB with %d, %d KiB with %d or %d KiB with %d",
		ErrParams, p.Memory, p.Time, floor[0].Memory, floor[0].Time, floor[1].Memory, floor[1].Time, floor[2].Memory, floor[2].Time)
}

// atLeast reports whether p costs no less than other in both memory and time.
func (p Params) atLeast(other Params) bool { return p.Memory >= other.Memory && p.Time >= other.Time }
