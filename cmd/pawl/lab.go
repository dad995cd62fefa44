package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pawlauth/pawl/lab"
)

// labCmd runs the laboratory.
type labCmd struct {
	Report  string   `placeholder:"FILE" help:"Write an HTML page that shows, for each cell, what was done and what was seen."`
	Only    []string `placeholder:"NAME,…" help:"Try only these attacks and ways."`
	Browser string   `placeholder:"PATH" help:"Chromium, if it is not on the PATH."`
}

// Help is shown below the flags.
func (labCmd) Help() string {
	return `Everything happens on loopback, in a browser that is started for it.

Examples:

  pawl lab --report lab.html
  pawl lab --only logout,localstorage,pawl-cookies`
}

func (c *labCmd) Run(ctx context.Context, s *streams) error {
	total := 0
	results, err := lab.Run(ctx, lab.Options{Browser: c.Browser, Only: c.Only, Progress: func(lab.Cell) {
		total++
		fmt.Fprintf(s.err, "\r%d cells", total)
	}})
	if results == nil {
		return err
	}
	fmt.Fprintln(s.err)
	if wrong := results.WriteText(s.out); wrong != nil {
		return wrong
	}
	if c.Report != "" {
		page, wrong := results.Report()
		if wrong != nil {
			return wrong
		}
		if wrong := os.WriteFile(c.Report, page, 0o600); wrong != nil {
			return wrong
		}
		fmt.Fprintf(s.out, "\n%s shows what was done and what was seen.\n", c.Report)
	}
	return err
}
