// Command load measures how fast a server renews sessions, and what that costs:
// it carries chains of real renewals by OAuth's refresh grant for as many
// sessions as it is given first tokens for. It knows nothing of Pawl but one
// way to sign in, so that other servers are measured with the same tool. Its
// second form, "load pgbench", measures what PostgreSQL does at least.
//
// It refuses targets that are not on this machine, and asserts nothing about
// speed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// errNothing is returned after the report if it has no renewal to report on.
var errNothing = errors.New("nothing was renewed while it counted")

func run(ctx context.Context, args []string, in io.Reader, out, notes io.Writer) error {
	if len(args) > 0 && args[0] == "pgbench" {
		return floor(ctx, args[1:], out, notes)
	}
	return renew(ctx, args, in, out, notes)
}
