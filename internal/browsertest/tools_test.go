package browsertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const howToInstall = "run: (cd internal/browsertest/npm && npm ci --ignore-scripts)"

// tool returns the path of an installed file of a package.
func tool(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("npm", "node_modules", path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		missing(t, "a tool from npm", howToInstall)
	}
	return path
}

func nodejs(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node", "apt-get install nodejs")
	}
	return path
}
