//go:build linux || darwin

package pgtest

import (
	"fmt"
	"os"
	"syscall"
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
	signal(s.data(), syscall.SIGSTOP) // the hardest to end
	fmt.Println(s.dir)
	select {}
}
