package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/server"
)

// Help is shown below the flags.
func (storeCmd) Help() string {
	return `Examples:

  pawl store copy ./pawl-data postgres://pawl_migrate@db.example.com/pawl

Stop the server first. Interrupted, the same command goes on where it was.`
}

type storeCmd struct {
	Copy storeCopyCmd `cmd:"" help:"Copy everything from a data directory into a PostgreSQL that was never used, and check it."`
}

type storeCopyCmd struct {
	From                  string `arg:"" placeholder:"DIR" help:"Data directory, whose master key stays in use."`
	To                    string `arg:"" placeholder:"URL" help:"PostgreSQL, postgres://user@host/name; a password is better kept in PGPASSFILE."`
	MasterKeyFile         string `placeholder:"FILE" env:"PAWL_MASTER_KEY_FILE" help:"Master key, if it does not live in the data directory."`
	DangerouslyPlainStore bool   `env:"PAWL_DANGEROUSLY_PLAIN_STORE" help:"Allow a way to the store beyond this machine that is not encrypted and proved."`
}

func (c *storeCopyCmd) Run(ctx context.Context, s *streams) error {
	from := pawl.Place{Directory: c.From, MasterKeyFile: c.MasterKeyFile}
	to := from
	to.Store, to.DangerouslyPlainStore = c.To, c.DangerouslyPlainStore
	bar := &progressBar{out: s.err, redraws: isTerminal(s.err)}
	if err := pawl.CopyStore(ctx, from, to, bar.show); err != nil {
		return err
	}
	o, err := server.OpenOperator(ctx, to, false)
	if err != nil {
		return err
	}
	defer o.Close()
	report, err := o.Fsck(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, report)
	if len(report.Faults) > 0 {
		return errReported
	}
	fmt.Fprintf(s.out, "copied; serve it with --store and the same master key\n")
	return nil
}

// isTerminal reports whether a person looks at what is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A progressBar shows how far each table is: on a terminal all the time, and
// elsewhere when it is done.
type progressBar struct {
	out     io.Writer
	redraws bool
	shown   int // per mille of the table, to draw only what differs
}

// barWidth is that of the bar, in characters.
const barWidth = 30

func (b *progressBar) show(table string, done, of int) {
	end := done >= of
	if !end && !b.redraws {
		return
	}
	share := 1000
	if of > 0 {
		share = min(1000, 1000*done/of)
	}
	if !end && share == b.shown {
		return
	}
	b.shown = share
	full := share * barWidth / 1000
	line := fmt.Sprintf("%-13s [%s%s] %d of %d", table, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, of)
	if b.redraws {
		line = "\r" + line
	}
	if end || !b.redraws {
		line += "\n"
	}
	fmt.Fprint(b.out, line)
}
