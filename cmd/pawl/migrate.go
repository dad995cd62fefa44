package main

import (
	"context"
	"fmt"

	"github.com/pawlauth/pawl"
)

// Help is shown below the flags.
func (migrateCmd) Help() string {
	return `Examples:

  pawl migrate status --store postgres://pawl_migrate@db.example.com/pawl
  pawl migrate up --store postgres://pawl_migrate@db.example.com/pawl`
}

type migrateCmd struct {
	Status migrateStatusCmd `cmd:"" help:"Tell the version of the schema, and the one that this version of Pawl needs."`
	Up     migrateUpCmd     `cmd:"" help:"Make the schema, or upgrade it, with a role that may."`
}

type migrateStatusCmd struct{ dataFlags }

func (c *migrateStatusCmd) Run(ctx context.Context, s *streams) error {
	have, need, err := pawl.SchemaVersion(ctx, c.place())
	if err != nil {
		return err
	}
	switch {
	case have < need:
		fmt.Fprintf(s.out, "schema version %d; this version of Pawl needs %d: run pawl migrate up\n", have, need)
	case have > need:
		fmt.Fprintf(s.out, "schema version %d; this version of Pawl knows up to %d: run a newer one\n", have, need)
	default:
		fmt.Fprintf(s.out, "schema version %d, as needed\n", have)
	}
	return nil
}

type migrateUpCmd struct{ dataFlags }

func (c *migrateUpCmd) Run(ctx context.Context, s *streams) error {
	from, to, err := pawl.Migrate(ctx, c.place())
	if err != nil {
		return err
	}
	if from == to {
		fmt.Fprintf(s.out, "schema version %d already\n", to)
		return nil
	}
	fmt.Fprintf(s.out, "schema version %d, was %d\n", to, from)
	return nil
}
