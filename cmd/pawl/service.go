package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/pawlauth/pawl/service"
)

// Help is shown below the flags.
func (serviceCmd) Help() string {
	return `Examples:

  pawl service add gateway --scope introspect --scope revocations:read
  pawl service list
  pawl service remove gateway --yes`
}

type serviceCmd struct {
	Add    serviceAddCmd    `cmd:"" help:"Let a program use the service API, and show its secret, once."`
	List   serviceListCmd   `cmd:"" help:"List the programs that may use the service API."`
	Remove serviceRemoveCmd `cmd:"" help:"Take a program's credentials away."`
}

type serviceAddCmd struct {
	dataFlags
	Name  string   `arg:"" help:"What it is called in events: lower-case letters, digits and dashes, a letter first."`
	Scope []string `required:"" placeholder:"SCOPE" help:"What it may do, once for each: ${scopes}."`
}

func (c *serviceAddCmd) Run(ctx context.Context, s *streams) error {
	scopes, err := service.ParseScopes(c.Scope...)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	added, secret, err := o.AddService(ctx, c.Name, scopes)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "service: %s\nsecret: %s\n", added.Name, secret.Reveal())
	return nil
}

type serviceListCmd struct{ dataFlags }

func (c *serviceListCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	services, err := o.Services().List(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tADDED\tMAY")
	for _, found := range services {
		fmt.Fprintf(table, "%s\t%s\t%s\n", found.Name, stamp(found.CreatedAt), scopeList(found.Scopes))
	}
	return table.Flush()
}

func scopeList(scopes []service.Scope) string {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = string(scope)
	}
	return strings.Join(texts, ", ")
}

type serviceRemoveCmd struct {
	dataFlags
	yesFlag
	Name string `arg:"" help:"Its name."`
}

func (c *serviceRemoveCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	if !c.agreed(s, "take away the credentials of service %s: its calls are refused at once", quote(c.Name)) {
		return nil
	}
	if err := o.RemoveService(ctx, c.Name); err != nil {
		return fmt.Errorf("%s: %w", quote(c.Name), err)
	}
	fmt.Fprintf(s.out, "removed %s\n", c.Name)
	return nil
}
