package session

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// An EventLog keeps events.
type EventLog interface {
	// Append stores the events in order, durably on return.
	Append(ctx context.Context, events []Event) error
}

// A Recorder writes events to a log and to a store without ever making a
// request wait: what does not fit in its queue is counted as dropped. What
// anybody can cause without a credential is admitted at a bounded rate, so
// that a flood of it neither fills the disk nor takes the place of what
// matters. It is safe for concurrent use.
type Recorder struct {
	log     *slog.Logger
	store   EventLog
	now     func() time.Time
	queue   chan Event
	cheap   *rate.Limiter
	dropped atomic.Uint64
}

// maxEvents bounds the queue, and the batch that is stored at once.
const maxEvents = 4096

// How many cheap events a second are kept, and how many at once: a flood shows,
// and is a few megabytes a day.
const (
	cheapRate  = 10
	cheapBurst = 500
)

// cheap reports whether anybody can cause the event as often as he likes,
// without a password and without a token that is good for anything.
func (e *Event) cheap() bool {
	switch e.Type {
	case EventCrossSite, EventDuplicateCookie, EventUsedAfterEnd, EventRenewalRefused, EventRateLimited, EventOverload,
		EventServiceRefused:
		return true
	case EventRepeated, EventCodeRefused: // with a reason, it takes a token or a code of somebody's
		return e.Reason == ""
	}
	return false
}

// NewRecorder returns a recorder; [Recorder.Run] does its writing.
func NewRecorder(log *slog.Logger, store EventLog, now func() time.Time) *Recorder {
	return &Recorder{log: log, store: store, now: now, queue: make(chan Event, maxEvents), cheap: rate.NewLimiter(cheapRate, cheapBurst)}
}

// Record takes in one event. It never blocks.
func (r *Recorder) Record(e Event) {
	if e.Time.IsZero() {
		e.Time = r.now()
	}
	e.Time = e.Time.UTC()
	if e.cheap() && !r.cheap.AllowN(e.Time, 1) {
		r.dropped.Add(1)
		return
	}
	select {
	case r.queue <- e:
	default:
		r.dropped.Add(1)
	}
}

// Dropped returns how many events were over the rate, found the queue full, or
// the store failing. Those are gone from the store; what reached the log stays
// there.
func (r *Recorder) Dropped() uint64 { return r.dropped.Load() }

// Run writes until the context ends, and then what is still queued. Call it
// once.
func (r *Recorder) Run(ctx context.Context) {
	for {
		select {
		case e := <-r.queue:
			r.write(ctx, e)
		case <-ctx.Done():
			for {
				select {
				case e := <-r.queue:
					r.write(context.WithoutCancel(ctx), e)
				default:
					return
				}
			}
		}
	}
}

// write takes whatever else is queued along with the first event.
func (r *Recorder) write(ctx context.Context, first Event) {
	batch := []Event{first}
	for len(batch) < maxEvents && len(r.queue) > 0 {
		batch = append(batch, <-r.queue)
	}
	for i := range batch {
		r.log.LogAttrs(ctx, slog.LevelInfo, string(batch[i].Type), batch[i].attrs()...)
	}
	// A write must not hang for ever, or the queue would only drop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := r.store.Append(ctx, batch); err != nil {
		r.dropped.Add(uint64(len(batch)))
		r.log.LogAttrs(ctx, slog.LevelError, "events were not stored", slog.Int("events", len(batch)), slog.Any("error", err))
	}
}

// attrs are the fields that are set. slog's handlers escape what a client
// chose, so that one event stays one line.
func (e *Event) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.Time("event_time", e.Time)}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("reason", e.Reason)
	text("user", e.UserID)
	text("session", e.Session)
	if e.Generation != 0 {
		attrs = append(attrs, slog.Uint64("generation", uint64(e.Generation)))
	}
	text("client", e.ClientID)
	text("actor", e.Actor)
	text("key", e.Key)
	text("address", e.Address)
	text("user_agent", e.UserAgent)
	text("request", e.RequestID)
	return attrs
}
