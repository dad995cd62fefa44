package serviceapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

const (
	// maxFollowers bounds the streams of this process.
	maxFollowers = 1000
	// aliveEvery is how often a follower hears that nothing has happened.
	aliveEvery = 5 * time.Second
	// writeTime is how long a follower may take for one event.
	writeTime = 10 * time.Second
	// maxIDs bounds the sessions in one event: some 100 KiB.
	maxIDs = 4096
)

// revocations tells which sessions were ended, as server-sent events (HTML
// Living Standard §9.2), for as long as this node hears of them itself:
//
//   - "part" and "whole" tell all that is remembered; a follower knows it when
//     it has heard "whole", which says besides how long to remember it and how
//     old a token must be for its use to count.
//   - "ended" tells what ended since.
//   - "alive", every 5 seconds, says that nothing else did.
//
// Each but "part" has an id, from which a follower can go on in this process.
// A follower for which this stream ends must be able to refuse what it no
// longer hears of. It is looked at whether the service still may follow, as
// often as it is told that nothing happened.
func (a *API) revocations(w http.ResponseWriter, c *call) error {
	select {
	case a.followers <- struct{}{}:
		defer func() { <-a.followers }()
	default:
		return errFollowers
	}
	select {
	case <-a.stop:
		return errStopping
	default:
	}
	if !a.fresh() {
		return errStale
	}
	s := &stream{w: w, control: http.NewResponseController(w), process: a.process, writeTime: a.writeTime}
	// The server's deadline is for answers that have an end.
	if err := s.deadline(); err != nil {
		return fmt.Errorf("serviceapi: stream: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would wait for more
	place, resumed := s.placeOf(c.Header["Last-Event-Id"])
	endings, next, changed := a.Revoked.Since(place)
	s.place = next
	if resumed && place <= next {
		return a.follow(c, s, changed, s.news(endings))
	}
	return a.follow(c, s, changed, s.whole(endings, a.Keep, a.engine.Policy.Settle))
}

// fresh reports whether this node hears of ended sessions itself: otherwise, to
// say that nothing has happened would be a guess.
func (a *API) fresh() bool {
	now := a.Now()
	return a.Revoked.Ready(now) && a.Revoked.Age(now) <= 2*a.aliveEvery
}

// follow tells what happens until something fails. The answer has begun, so
// that there is nothing to say about it but to end.
func (a *API) follow(c *call, s *stream, changed <-chan struct{}, err error) error {
	tick := time.NewTicker(a.aliveEvery)
	defer tick.Stop()
	for err == nil {
		select {
		case <-c.Context().Done():
			return nil
		case <-a.stop:
			return nil
		case <-changed:
			var endings verify.Endings
			endings, s.place, changed = a.Revoked.Since(s.place)
			err = s.news(endings)
		case <-tick.C:
			if !a.fresh() || !a.mayFollow(c) {
				return nil
			}
			err = s.alive()
		}
	}
	return nil
}

// mayFollow reports whether the service is still there and may still follow. A
// store that cannot say so now ends the stream by growing stale.
func (a *API) mayFollow(c *call) bool {
	ctx, cancel := context.WithTimeout(c.Context(), a.aliveEvery)
	defer cancel()
	_, err := a.API.AuthenticateService(c.Request.WithContext(ctx), service.RevocationsRead)
	return err == nil || errors.Is(err, service.ErrUnavailable)
}

// A stream is one follower. One goroutine writes it.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	process string
	place   uint64 // up to which the follower was told

	writeTime time.Duration
}

// told is the data of an event.
type told struct {
	Epoch    int64        `json:"epoch,omitzero"` // microseconds since 1970; left out: none
	Sessions []session.ID `json:"sessions,omitempty"`
}

// toldWhole is the data of the event that completes what is remembered.
type toldWhole struct {
	Epoch    int64        `json:"epoch"` // 0: none
	Sessions []session.ID `json:"sessions"`
	Keep     int64        `json:"keep"`   // seconds for which to remember it
	Settle   int64        `json:"settle"` // see [session.Policy]; seconds
}

// whole tells all that is remembered.
func (s *stream) whole(e verify.Endings, keep, settle time.Duration) error {
	for len(e.Sessions) > maxIDs {
		if err := s.send("part", told{Sessions: e.Sessions[:maxIDs]}, ""); err != nil {
			return err
		}
		e.Sessions = e.Sessions[maxIDs:]
	}
	if e.Sessions == nil {
		e.Sessions = []session.ID{}
	}
	return s.send("whole", toldWhole{epochOf(e.Epoch), e.Sessions, int64((keep + time.Second - 1) / time.Second), int64((settle + time.Second - 1) / time.Second)}, s.id())
}

// news tells what ended since, or that nothing did. The id of an event that
// does not tell all up to it is that of none.
func (s *stream) news(e verify.Endings) error {
	if len(e.Sessions) == 0 && e.Epoch.IsZero() {
		return s.alive()
	}
	for len(e.Sessions) > maxIDs {
		if err := s.send("ended", told{Sessions: e.Sessions[:maxIDs]}, ""); err != nil {
			return err
		}
		e.Sessions = e.Sessions[maxIDs:]
	}
	return s.send("ended", told{epochOf(e.Epoch), e.Sessions}, s.id())
}

func (s *stream) alive() error { return s.send("alive", struct{}{}, s.id()) }

// send writes one event.
func (s *stream) send(name string, data any, id string) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	text := "event: " + name + "\n"
	if id != "" {
		text += "id: " + id + "\n"
	}
	if err := s.deadline(); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text + "data: " + string(body) + "\n\n")); err != nil {
		return err
	}
	return s.control.Flush()
}

func (s *stream) deadline() error { return s.control.SetWriteDeadline(time.Now().Add(s.writeTime)) }

// id names the place of the stream in this process.
func (s *stream) id() string { return s.process + "-" + strconv.FormatUint(s.place, 10) }

// placeOf reads an id back: 0 and false unless it is one of this process.
func (s *stream) placeOf(lines []string) (uint64, bool) {
	if len(lines) != 1 {
		return 0, false
	}
	process, text, _ := strings.Cut(lines[0], "-")
	place, err := strconv.ParseUint(text, 10, 64)
	if err != nil || process != s.process {
		return 0, false
	}
	return place, true
}

// epochOf is an epoch as it travels: in microseconds, rounded up, so that it
// never is before what it ended.
func epochOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Microsecond - 1).UnixMicro()
}
