// Command pawl is the Pawl server and the tool of its operator. Run
// "pawl --help" for its commands.
//
// A setting comes from a flag, else from the environment (PAWL_ and the name
// of the flag), else from the TOML file that --config names, else from its
// default. What a command destroys, it first tells, and does only with --yes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/pawlauth/pawl/service"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// cli is the whole command line.
type cli struct {
	ConfigFile string `name:"config" placeholder:"FILE" env:"PAWL_CONFIG" help:"TOML file with settings, named like the flags."`

	Serve   serveCmd   `cmd:"" help:"Run the server."`
	User    userCmd    `cmd:"" help:"Add, list, disable, export and delete users, set passwords."`
	Service serviceCmd `cmd:"" help:"Add, list and remove programs that may use the service API."`
	Session sessionCmd `cmd:"" help:"List and end sessions."`
	Key     keyCmd     `cmd:"" help:"List, rotate and withdraw signing keys."`
	Events  eventsCmd  `cmd:"" help:"Show what happened: sign-ins, renewals, thefts, ends."`
	Fsck    fsckCmd    `cmd:"" help:"Check every invariant of the data."`
	Fence   fenceCmd   `cmd:"" help:"After a restore: make everything worthless that was issued before."`
	Store   storeCmd   `cmd:"" help:"Move the data into a PostgreSQL."`
	Migrate migrateCmd `cmd:"" help:"Tell or upgrade the version of the database's schema."`
	Config  configCmd  `cmd:"" help:"Check the configuration."`
	Lab     labCmd     `cmd:"" help:"Attack every way to keep a token, Pawl among them, and tell what came of it."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

const description = `Sessions that are renewed silently and stolen noticeably.

Examples:

  pawl serve --dev                          try it on http://localhost:8080
  pawl serve --origin https://app.example.com --trusted-proxy 10.0.0.0/8
  pawl user add ada                         and tell her the initial password
  pawl session list --user ada
  pawl events --follow
`

// Exit codes.
const (
	exitOK    = 0
	exitFault = 1 // it was understood and did not work
	exitUsage = 2 // it was not understood
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exited carries kong's exit code (after --help, for instance) out of it.
type exited int

func run(args []string, in io.Reader, out, errOut io.Writer) (code int) {
	defer func() {
		if e, ok := recover().(exited); ok {
			code = int(e)
		}
	}()
	// A variable that is set to nothing, as compose files do, is not set.
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PAWL_") && value == "" {
			os.Unsetenv(name)
		}
	}
	var c cli
	file := &settings{}
	parser, err := kong.New(&c, kong.Name("pawl"), kong.Description(description), kong.Writers(out, errOut),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"scopes": scopeList(service.Scopes)}, kong.Exit(func(code int) { panic(exited(code)) }), kong.Resolvers(file))
	if err != nil {
		fmt.Fprintln(errOut, "pawl:", err)
		return exitFault
	}
	file.learn(parser.Model)
	if err := file.load(args); err != nil {
		fmt.Fprintln(errOut, "pawl:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(errOut, "pawl:", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(&streams{in, out, errOut}); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(errOut, "pawl:", err)
		}
		return exitFault
	}
	return exitOK
}

// errReported says that the command has told what is wrong already.
var errReported = errors.New("reported")
