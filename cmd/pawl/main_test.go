package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary stand in for the real command: in scripts as
// "pawl", and for tests that start a server process through [command].
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pawl": main})
}

// TestScripts runs the command line as its user does; each script says what it
// shows.
//
// Rows: 143, 178, 183, 186, 195, 239, 255
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Nothing of the caller's environment may decide.
			for _, name := range []string{"PAWL_DATA", "PAWL_ORIGIN", "PAWL_CONFIG", "PAWL_MASTER_KEY_FILE"} {
				env.Setenv(name, "")
				os.Unsetenv(name)
			}
			return nil
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
