package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/pawlauth/pawl/keyring"
)

// Help is shown below the flags.
func (keyCmd) Help() string {
	return `Examples:

  pawl key list
  pawl key rotate
  pawl key withdraw 9f86d081884c7d65 --yes`
}

type keyCmd struct {
	List     keyListCmd     `cmd:"" help:"List the signing keys."`
	Rotate   keyRotateCmd   `cmd:"" help:"Publish a new signing key, which signs after its publication time."`
	Withdraw keyWithdrawCmd `cmd:"" help:"End a signing key at once: what it signed is refused within a second."`
}

type keyListCmd struct{ dataFlags }

func (c *keyListCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	keys, _, err := o.Keys(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tALGORITHM\tSTATE\tPUBLISHED\tSINCE\tNEXT STEP")
	for _, k := range keys {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, k.State, stamp(k.CreatedAt), stamp(k.ChangedAt), stamp(k.DueAt))
	}
	return table.Flush()
}

type keyRotateCmd struct {
	dataFlags
	KeyPublication time.Duration `default:"1h" placeholder:"D" env:"PAWL_KEY_PUBLICATION" help:"How long the key is published before it signs."`
}

func (c *keyRotateCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	key, err := o.RotateKey(ctx, c.KeyPublication)
	if err != nil {
		return err
	}
	if key.State == keyring.Active {
		fmt.Fprintf(s.out, "key %s is the first one and signs now\n", key.ID)
		return nil
	}
	fmt.Fprintf(s.out, "key %s is published and signs from %s\n", key.ID, stamp(key.DueAt))
	return nil
}

type keyWithdrawCmd struct {
	dataFlags
	yesFlag
	ID string `arg:"" help:"Id of the key, as in the list."`
}

func (c *keyWithdrawCmd) Run(ctx context.Context, s *streams) error {
	if !c.agreed(s, "withdraw key %s: every access token that it signed is refused within a second", quote(c.ID)) {
		return nil
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := o.WithdrawKey(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "withdrew key %s\n", c.ID)
	return nil
}
