package lab

import (
	"net/http"
	"time"
)

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
func Ways() []Way {
	return []Way{localStorage, sessionStorage, variable, readableCookie, sessionID, jwtCookie, pawlBearer, pawlCookies}
}

// A build is a bank that is running, and the clients that it was written with:
// what its page does in a browser, each of these does on a [device].
//
// A build may also be a [renewing], a [dated], a [stored], a [stowing] or an
// [io.Closer].
type build interface {
	http.Handler
	// signIn is what happens when a customer gives name and password.
	signIn(d *device, name string) error
	// use asks the bank who the device is; empty: nobody.
	use(d *device) (string, error)
	// signOut is what the button does.
	signOut(d *device) error
}

// A renewing build gives new tokens for a refresh token.
type renewing interface {
	// renew asks for new tokens with what the device holds, and reports whether
	// there were any.
	renew(d *device) (bool, error)
}

// A dated build judges by the time that has passed. The others take no notice
// of it: their tokens live for longer than any attack.
type dated interface {
	// later makes it later, for the bank and for what the devices hold.
	later(by time.Duration, holders ...*device) error
	// noticed waits until the bank has taken notice of a device's last use.
	noticed(d *device) error
}

// A stored build has a database of which the thief may have a copy.
type stored interface {
	// copied returns every value in it, as it is there.
	copied() ([]string, error)
}

// A stowing build's script keeps the tokens in storage, which the browser writes
// into its profile; the others' scripts keep them in memory.
type stowing interface {
	stows()
}
