package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pawlauth/pawl/server"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// Help is shown below the flags.
func (sessionCmd) Help() string {
	return `Examples:

  pawl session list --user ada
  pawl session end 7hVbPzq3Rk2u9cJm0sXl4Q --yes
  pawl session end --user ada --yes`
}

type sessionCmd struct {
	List sessionListCmd `cmd:"" help:"List sessions."`
	End  sessionEndCmd  `cmd:"" help:"End one session, or all of a user."`
}

type sessionListCmd struct {
	dataFlags
	User  string `placeholder:"NAME" help:"Only sessions of this user."`
	Ended bool   `help:"Also sessions that ended."`
}

// pageSize is how many rows are read from the store at a time.
const pageSize = 500

func (c *sessionListCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	names, err := userNames(ctx, o)
	if err != nil {
		return err
	}
	query := session.Query{WithEnded: c.Ended, Limit: pageSize}
	if c.User != "" {
		user, err := o.User(ctx, c.User)
		if err != nil {
			return err
		}
		query.User = user.ID
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tIN EVENTS\tUSER\tSTATE\tGENERATION\tTRANSPORT\tSIGNED IN\tRENEWED\tDEVICE")
	for {
		rows, now, err := o.Sessions(ctx, query)
		if err != nil {
			return err
		}
		for _, r := range rows {
			state := "live"
			switch {
			case r.Ended():
				state = string(r.EndReason)
			case !r.Live(now) && !c.Ended:
				continue
			case !r.Live(now):
				state = "expired"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, o.Pseudonym(r.ID), names[r.UserID], state,
				r.Generation, r.Transport, stamp(r.CreatedAt), stamp(r.RotatedAt), quote(r.UserAgent))
		}
		if len(rows) < pageSize {
			return table.Flush()
		}
		query.After = rows[len(rows)-1].ID
	}
}

func userNames(ctx context.Context, o *server.Operator) (map[string]string, error) {
	users, err := o.Users(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(users))
	for _, u := range users {
		names[u.ID] = u.Name
	}
	return names, nil
}

type sessionEndCmd struct {
	dataFlags
	yesFlag
	ID       string `arg:"" optional:"" help:"Id of the session, as in the list."`
	User     string `placeholder:"NAME" help:"End all sessions of this user instead."`
	Everyone bool   `help:"End all sessions of everybody instead."`
}

// onceMore says what an end of everything does to those who were too quick.
var onceMore = fmt.Sprintf("Who signs in within the next %d seconds has to do it once more.", session.EpochMargin/time.Second)

func (c *sessionEndCmd) Run(ctx context.Context, s *streams) error {
	given := 0
	for _, is := range []bool{c.ID != "", c.User != "", c.Everyone} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errors.New("name one session by its id, or one user with --user, or --everyone")
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	if c.Everyone {
		if !c.agreed(s, "end every session of everybody: all must sign in again") {
			return nil
		}
		if err := o.EndEveryone(ctx); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "ended every session of everybody\n%s\n", onceMore)
		return nil
	}
	var which session.Selection
	what := "session " + c.ID
	if c.User != "" {
		user, err := o.User(ctx, c.User)
		if err != nil {
			return err
		}
		which.User, what = user.ID, "all sessions of "+user.Name
	} else if which.Session, err = token.ParseID(c.ID); err != nil {
		return fmt.Errorf("%s: %w", quote(c.ID), err)
	}
	if !c.agreed(s, "end %s", what) {
		return nil
	}
	ended, err := o.End(ctx, which, session.ReasonOperator)
	if err != nil {
		return err
	}
	if len(ended) == 0 {
		return errors.New("no such session, or it ended before")
	}
	fmt.Fprintf(s.out, "ended %d sessions\n", len(ended))
	return nil
}

// quote makes text that a client chose safe to print on a terminal, and
// impossible to take for another field: quoted where it is not one plain word.
func quote(text string) string {
	if quoted := strconv.QuoteToASCII(text); quoted != `"`+text+`"` || strings.ContainsAny(text, " =") {
		return quoted
	}
	return text
}
