//go:build linux || darwin

package pgtest

import (
	"fmt"
	"os"
	"testing"
)

// victimVariable makes this binary somebody who starts servers and waits to be
// killed. Its value is the folder where it finds room.
const victimVariable = "PAWL_PGTEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) == "" {
		os.Exit(m.Run())
	}
	s, err := shared()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, err := freeze(s.dir); err != nil { // the hardest to end
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.dir)
	select {}
}
