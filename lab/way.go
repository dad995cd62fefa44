package lab

import "net/http"

// A Way is one way in which people keep a token in a browser: a build of the
// bank.
type Way struct {
	// Name is for the command line, in small letters with hyphens.
	Name string
	// Title is the head of its column.
	Title string
	// About says what the build does, and where people learn to do so.
	About string
	// Pawl says that Pawl keeps the token.
	Pawl bool

	// build starts it.
	build func(*stage) (build, error)
}

// Ways returns all ways, in the order of the table.
func Ways() []Way { return []Way{localStorage, pawlCookies} }

// A build is a bank that is running, and the clients that it was written with:
// what its page does in a browser, each of these does on a [device].
//
// A build may also be a [dated], a [stored] or an [io.Closer].
type build interface {
	http.Handler
	// signIn is what happens when a customer gives name and password.
	signIn(d *device, name string) error
	// use asks the bank who the device is; empty: nobody.
	use(d *device) (string, error)
	// renew asks for new tokens with what the device holds, and reports whether
	// there were any. A way without renewal says [errNoRenewal].
	renew(d *device) (bool, error)
	// signOut is what the button does.
	signOut(d *device) error
}

// A dated build has a clock that can be put forward, for itself and for what
// its clients hold. The others take no notice of the times that pass in the
// lab.
type dated interface {
	later(seconds int, holders ...*device) error
}

// A stored build has a database of which the thief may have a copy.
type stored interface {
	// copied returns every value in it, as it is there.
	copied() ([]string, error)
}
