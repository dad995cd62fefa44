package serviceapi

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/pawlauth/pawl/docs"
	"github.com/pawlauth/pawl/session"
)

// An EventDocument is an event for programs.
type EventDocument struct {
	Cursor     int64             `json:"cursor"`
	Time       time.Time         `json:"time"`
	Type       session.EventType `json:"type"`
	Reason     string            `json:"reason,omitzero"`
	User       string            `json:"user,omitzero"`
	Session    string            `json:"session,omitzero"` // a keyed hash, not the id
	Generation uint32            `json:"generation,omitzero"`
	Client     string            `json:"client,omitzero"`
	Actor      string            `json:"actor,omitzero"`
	Key        string            `json:"key,omitzero"`
	Address    string            `json:"address,omitzero"`
	Agent      string            `json:"user_agent,omitzero"`
	Request    string            `json:"request,omitzero"`
}

// NewEventDocument returns an event, and its place among all, for programs.
func NewEventDocument(cursor int64, e *session.Event) EventDocument {
	return EventDocument{cursor, e.Time.UTC(), e.Type, e.Reason, e.UserID, e.Session, e.Generation, e.ClientID, e.Actor, e.Key, e.Address, e.UserAgent, e.RequestID}
}

// Bounds of a page of events.
const (
	defaultEvents = 100
	maxEvents     = 1000
)

// events tells what happened after a cursor. Whoever goes on after "next"
// misses nothing that the store keeps, and gets nothing twice.
func (a *API) events(w http.ResponseWriter, c *call) error {
	after, err := c.query.number("after", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	limit, err := c.query.number("limit", defaultEvents, 1, maxEvents)
	if err != nil {
		return err
	}
	r, cancel := bounded(c.Request)
	defer cancel()
	stored, err := a.Events.Events(r.Context(), after, int(limit))
	if err != nil {
		return fmt.Errorf("%w: events: %w", session.ErrUnavailable, err)
	}
	page := struct {
		Events []EventDocument `json:"events"`
		Next   int64           `json:"next"`
	}{make([]EventDocument, len(stored)), after}
	for i := range stored {
		page.Events[i] = NewEventDocument(stored[i].Cursor, &stored[i].Event)
		page.Next = stored[i].Cursor
	}
	return answer(w, http.StatusOK, &page)
}

// document answers with the description of these routes.
func (a *API) document(w http.ResponseWriter, _ *call) error {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	w.WriteHeader(http.StatusOK)
	w.Write(docs.ServiceAPI)
	return nil
}

// query is what follows the path, each parameter once.
type query map[string]string

// readQuery refuses parameters that are repeated or unknown.
func readQuery(r *http.Request, known ...string) (query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errQuery
	}
	q := query{}
	for name, list := range values {
		if len(list) != 1 || !slices.Contains(known, name) {
			return nil, errQuery
		}
		q[name] = list[0]
	}
	return q, nil
}

// number reads a decimal number within bounds, or none.
func (q query) number(name string, none, least, most int64) (int64, error) {
	text, ok := q[name]
	if !ok {
		return none, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most || strconv.FormatInt(n, 10) != text {
		return 0, errQuery
	}
	return n, nil
}
