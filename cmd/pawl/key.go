package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/pawlauth/pawl/keyring"
)

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

// ringFlags are what a command needs to change keys as the server would.
type ringFlags struct {
	dataFlags
	policyFlags
	keyFlags
}

func (f ringFlags) ring() (keyring.Options, error) {
	policy, err := f.policy()
	return f.options(policy), err
}

type keyRotateCmd struct{ ringFlags }

func (c *keyRotateCmd) Run(ctx context.Context, s *streams) error {
	options, err := c.ring()
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	next, err := o.RotateKey(ctx, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "key %s is published and signs from %s\n", next.ID, stamp(next.DueAt))
	return nil
}

type keyWithdrawCmd struct {
	ringFlags
	yesFlag
	ID string `arg:"" help:"Id of the key, as in the list."`
}

func (c *keyWithdrawCmd) Run(ctx context.Context, s *streams) error {
	options, err := c.ring()
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil || !c.agreed(s, "withdraw key %s: every access token that it signed is refused within a second", quote(c.ID)) {
		return err
	}
	defer o.Close()
	if err := o.WithdrawKey(ctx, options, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "withdrew key %s\n", c.ID)
	return nil
}
