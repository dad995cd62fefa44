package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/serviceapi"
	"github.com/pawlauth/pawl/session"
)

// Help is shown below the flags.
func (eventsCmd) Help() string {
	return `Examples:

  pawl events --follow
  pawl events --after 1200 --json`
}

type eventsCmd struct {
	dataFlags
	After  int64 `default:"0" placeholder:"N" help:"Only events after this number."`
	Follow bool  `short:"f" help:"Go on with new events until interrupted."`
	JSON   bool  `name:"json" help:"One JSON object a line."`
}

// followEvery is how often new events are looked for.
const followEvery = 250 * time.Millisecond

func (c *eventsCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	write := writeEvent
	if c.JSON {
		write = writeEventJSON
	}
	for after := c.After; ; {
		events, err := o.Events(ctx, after, pageSize)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, e := range events {
			if err := write(s.out, e.Cursor, &e.Event); err != nil {
				return err
			}
			after = e.Cursor
		}
		if len(events) == pageSize {
			continue
		}
		if !c.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// writeEvent writes one line for people. What a client chose is quoted.
func writeEvent(w io.Writer, cursor int64, e *session.Event) error {
	var line strings.Builder
	fmt.Fprintf(&line, "%d  %s  %-18s", cursor, e.Time.UTC().Format("2006-01-02 15:04:05.000Z"), e.Type)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&line, "  %s=%s", name, quote(value))
		}
	}
	field("reason", e.Reason)
	field("user", e.UserID)
	field("session", e.Session)
	if e.Generation != 0 {
		fmt.Fprintf(&line, "  generation=%d", e.Generation)
	}
	field("client", e.ClientID)
	field("actor", e.Actor)
	field("key", e.Key)
	field("address", e.Address)
	field("agent", e.UserAgent)
	field("request", e.RequestID)
	_, err := fmt.Fprintln(w, line.String())
	return err
}

func writeEventJSON(w io.Writer, cursor int64, e *session.Event) error {
	line, err := json.Marshal(serviceapi.NewEventDocument(cursor, e))
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

type fsckCmd struct{ dataFlags }

func (c *fsckCmd) Run(ctx context.Context, s *streams) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	report, err := o.Fsck(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, report)
	if len(report.Faults) > 0 {
		return errReported
	}
	return nil
}

type fenceCmd struct {
	dataFlags
	yesFlag
}

func (c *fenceCmd) Run(ctx context.Context, s *streams) error {
	if !c.agreed(s, "end every session and withdraw every signing key: everybody must sign in again") {
		return nil
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := o.Fence(ctx); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "fenced: ended every session and withdrew every signing key\n%s\n", onceMore)
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(s *streams) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	fmt.Fprintln(s.out, "pawl", version)
	return nil
}
