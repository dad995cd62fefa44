package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/pawlauth/pawl/server"
)

// Help is shown below the flags.
func (userCmd) Help() string {
	return `Examples:

  pawl user add ada --password-stdin < password.txt
  pawl user list
  pawl user disable ada --yes`
}

type userCmd struct {
	Add      userAddCmd      `cmd:"" help:"Add a user. The password is read from standard input."`
	List     userListCmd     `cmd:"" help:"List the users."`
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
	fmt.Fprintln(table, "NAME\tID\tSTATE\tADDED\tPASSWORD SET")
	for _, u := range users {
		state := "enabled"
		if u.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", u.Name, u.ID, state, stamp(u.CreatedAt), stamp(u.PasswordChangedAt))
	}
	return table.Flush()
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
