package pages_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestScripts runs the tests of the scripts with node's own runner.
//
// Rows: 68, 253
func TestScripts(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is missing")
		}
		t.Skip("node is missing: the scripts are not tested")
	}
	out, err := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=tap", "testdata/scripts.test.mjs").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n# fail 0") || strings.Contains(string(out), "\n# pass 0") {
		t.Errorf("%v\n%s", err, out)
	}
}
