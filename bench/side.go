package bench

// A Side is one of several ways to do the same thing, timed against the
// others.
type Side struct {
	Name string
	// Prepare does what is not timed and returns what is: one operation, which
	// fails if its outcome is not the expected one.
	Prepare func() (op func() error, err error)
	// Limit is how many operations one preparation is good for; 0: any number.
	Limit int
}

// A Group is sides that are compared with one another. The first is the bare
// work, or the only one.
type Group struct {
	Name  string
	Sides []Side
}

// The names of the groups.
const (
	Fresh     = "verify fresh" // a token that was not seen before
	Again     = "verify again" // one that was
	Protected = "protect"      // a handler that asks who calls
	Refused   = "refuse"       // what an attacker can send for nothing
)

// Groups returns every group that needs no store on disk.
func Groups() ([]Group, error) {
	i, err := newIssuer()
	if err != nil {
		return nil, err
	}
	protection, err := i.protection()
	if err != nil {
		return nil, err
	}
	refusal, err := i.refusal()
	if err != nil {
		return nil, err
	}
	return []Group{i.verification(), i.again(), protection, refusal}, nil
}

// always is the preparation of a side that needs none.
func always(op func() error) func() (func() error, error) {
	return func() (func() error, error) { return op, nil }
}
