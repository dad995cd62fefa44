package main

import (
	"context"
	"fmt"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/server"
)

// Help is shown below the flags.
func (userCmd) Help() string {
	return `Examples:

  pawl user add ada
  pawl user list
  pawl user show ada
  pawl user unlock ada --from 203.0.113.7
  pawl user password ada --yes
  pawl user disable ada --yes

Without --password-stdin, "add" and "password" make a random initial password and print it, once. For
a week it lets the user choose a password, and nothing else: no session begins with it. So nobody but
the user knows the one that counts. --password-stdin is for programs that are told a password by the
user who chose it, and for trying things out.`
}

type userCmd struct {
	Add      userAddCmd      `cmd:"" help:"Add a user, with an initial password that is printed once."`
	List     userListCmd     `cmd:"" help:"List the users."`
	Show     userShowCmd     `cmd:"" help:"Show a user, and how failed sign-ins hold the user up."`
	Unlock   userUnlockCmd   `cmd:"" help:"Forgive the failed sign-ins of a user."`
	Disable  userDisableCmd  `cmd:"" help:"Keep a user from signing in and end the user's sessions."`
	Enable   userEnableCmd   `cmd:"" help:"Let a user sign in again."`
	Password userPasswordCmd `cmd:"" help:"Give a user a new initial password and end the user's sessions."`
	personCmds
}

type userAddCmd struct {
	dataFlags
	Name string `arg:"" help:"Name to sign in with."`
	passwordFlag
}

// Run makes the data if there is none yet, so that a user can be added before
// the server starts for the first time.
func (c *userAddCmd) Run(ctx context.Context, s *streams) error {
	password, given, err := c.read(s)
	if err != nil {
		return err
	}
	o, err := server.OpenOperator(ctx, c.place(), true)
	if err != nil {
		return err
	}
	defer o.Close()
	var user account.User
	var initial string
	if given {
		user, err = o.AddUser(ctx, c.Name, password)
	} else {
		user, initial, err = o.AddInitialUser(ctx, c.Name)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "added %s (%s)\n", user.Name, user.ID)
	s.tellInitial(initial)
	return nil
}

type userListCmd struct{ dataFlags }

func (c *userListCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	users, err := o.Users(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tID\tSTATE\tADDED\tPASSWORD SET\tLAST SIGN-IN")
	for _, u := range users {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", u.Name, u.ID, state(u), stamp(u.CreatedAt), stamp(u.PasswordChangedAt), stamp(u.LastSignIn))
	}
	return table.Flush()
}

func state(u account.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

type userShowCmd struct {
	dataFlags
	Name string `arg:"" help:"Name of the user."`
}

func (c *userShowCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	u, err := o.User(ctx, c.Name)
	if err != nil {
		return err
	}
	hold, err := o.Hold(ctx, u)
	if err != nil {
		return err
	}
	held := "no"
	if hold.Wait > 0 {
		held = "for " + hold.Wait.Round(time.Second).String()
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"name", u.Name}, {"typed as", u.Display}, {"id", u.ID}, {"state", state(u)}, {"added", stamp(u.CreatedAt)},
		{"password set", stamp(u.PasswordChangedAt)}, {"initial until", stamp(u.InitialUntil)}, {"last sign-in", stamp(u.LastSignIn)},
		{"failed sign-ins from new networks", fmt.Sprint(hold.Failures)}, {"new networks held up", held},
	} {
		fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
	}
	return table.Flush()
}

type userUnlockCmd struct {
	dataFlags
	Name string     `arg:"" help:"Name of the user."`
	From netip.Addr `placeholder:"ADDRESS" help:"Address from which the user signs in; strangers elsewhere no longer hold up sign-ins from its network."`
}

// Run destroys nothing, so it asks for no --yes.
func (c *userUnlockCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	user, err := o.User(ctx, c.Name)
	if err != nil {
		return err
	}
	if err := o.Unlock(ctx, user, c.From); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "unlocked %s\n", user.Name)
	return nil
}

type userDisableCmd struct {
	dataFlags
	yesFlag
	Name string `arg:"" help:"Name of the user."`
}

func (c *userDisableCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	user, err := o.User(ctx, c.Name)
	if err != nil || !c.agreed(s, "disable %s (%s) and end all sessions of that user", user.Name, user.ID) {
		return err
	}
	ended, err := o.Disable(ctx, user)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "disabled %s, ended %d sessions\n", user.Name, len(ended))
	return nil
}

type userEnableCmd struct {
	dataFlags
	Name string `arg:"" help:"Name of the user."`
}

func (c *userEnableCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	user, err := o.User(ctx, c.Name)
	if err != nil {
		return err
	}
	if err := o.Enable(ctx, user); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "enabled %s\n", user.Name)
	return nil
}

type userPasswordCmd struct {
	dataFlags
	yesFlag
	Name string `arg:"" help:"Name of the user."`
	passwordFlag
}

func (c *userPasswordCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	user, err := o.User(ctx, c.Name)
	if err != nil || !c.agreed(s, "replace the password of %s (%s) and end all sessions of that user", user.Name, user.ID) {
		return err
	}
	password, given, err := c.read(s)
	if err != nil {
		return err
	}
	var initial string
	if given {
		err = o.SetPassword(ctx, user, password)
	} else {
		initial, err = o.SetInitialPassword(ctx, user)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "password of %s replaced\n", user.Name)
	s.tellInitial(initial)
	return nil
}

// tellInitial prints an initial password, if there is one. It is printed here
// and nowhere else.
func (s *streams) tellInitial(password string) {
	if password == "" {
		return
	}
	fmt.Fprintf(s.out, "initial password: %s\n"+
		"It is not shown again. For %d days it lets the user choose a password at the sign-in, and nothing else.\n",
		password, account.InitialLife/(24*time.Hour))
}

// stamp writes a time for a table: UTC, to the second.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
