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

  pawl user add ada --password-stdin < password.txt
  pawl user list
  pawl user show ada
  pawl user unlock ada --from 203.0.113.7
  pawl user disable ada --yes`
}

type userCmd struct {
	Add      userAddCmd      `cmd:"" help:"Add a user. The password is read from standard input."`
	List     userListCmd     `cmd:"" help:"List the users."`
	Show     userShowCmd     `cmd:"" help:"Show a user, and how failed sign-ins hold the user up."`
	Unlock   userUnlockCmd   `cmd:"" help:"Forgive the failed sign-ins of a user."`
	Disable  userDisableCmd  `cmd:"" help:"Keep a user from signing in and end the user's sessions."`
	Enable   userEnableCmd   `cmd:"" help:"Let a user sign in again."`
	Password userPasswordCmd `cmd:"" help:"Give a user a new password and end the user's sessions."`
}

type userAddCmd struct {
	dataFlags
	Name          string `arg:"" help:"Name to sign in with."`
	PasswordStdin bool   `help:"Read the password from standard input."`
}

// Run makes the data if there is none yet, so that a user can be added before
// the server starts for the first time.
func (c *userAddCmd) Run(ctx context.Context, s *streams) error {
	password, err := readPassword(s, c.PasswordStdin)
	if err != nil {
		return err
	}
	o, err := server.OpenOperator(ctx, c.Data, c.MasterKeyFile, true)
	if err != nil {
		return err
	}
	defer o.Close()
	user, err := o.AddUser(ctx, c.Name, password)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "added %s (%s)\n", user.Name, user.ID)
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
		{"password set", stamp(u.PasswordChangedAt)}, {"last sign-in", stamp(u.LastSignIn)},
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
	Name          string `arg:"" help:"Name of the user."`
	PasswordStdin bool   `help:"Read the password from standard input."`
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
	password, err := readPassword(s, c.PasswordStdin)
	if err != nil {
		return err
	}
	if err := o.SetPassword(ctx, user, password); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "password of %s replaced\n", user.Name)
	return nil
}

// stamp writes a time for a table: UTC, to the second.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
