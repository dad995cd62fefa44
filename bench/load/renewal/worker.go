package renewal

import (
	"bytes"
	"crypto/rand"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A Request is what every renewal sends, besides the token.
type Request struct {
	// Parameters go with the grant: client_id, client_secret, scope.
	Parameters [][2]string
	// Fields are more header fields, as ParseHeader returns them.
	Fields string
	// JSON sends an object instead of a form, as some servers want it.
	JSON bool
	// Idempotency sends an Idempotency-Key with each renewal, which stays the
	// same until it is answered with tokens.
	Idempotency bool

	fields, body []byte
}

func (q Request) clone() Request {
	q.fields, q.body = nil, nil
	return q
}

// write makes the request that renews a chain.
func (q *Request) write(c *chain) {
	q.fields = append(append(q.fields[:0], "Accept: application/json\r\nContent-Type: "...), q.media()...)
	q.fields = append(append(q.fields, "\r\n"...), q.Fields...)
	if q.Idempotency {
		if len(c.key) == 0 {
			c.key = append(c.key, rand.Text()...)
		}
		q.fields = append(append(append(q.fields, "Idempotency-Key: "...), c.key...), "\r\n"...)
	}
	q.writeBody(c.token)
}

func (q *Request) media() string {
	if q.JSON {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// writeBody makes the body (RFC 6749 §6).
func (q *Request) writeBody(token []byte) {
	q.body = q.body[:0]
	if !q.JSON {
		q.body = appendEscaped(append(q.body, "grant_type=refresh_token&refresh_token="...), token)
		for _, p := range q.Parameters {
			q.body = append(append(append(append(q.body, '&'), url.QueryEscape(p[0])...), '='), url.QueryEscape(p[1])...)
		}
		return
	}
	// What is quoted is visible ASCII, or was checked to be UTF-8.
	q.body, _ = jsontext.AppendQuote(append(q.body, `{"grant_type":"refresh_token","refresh_token":`...), token)
	for _, p := range q.Parameters {
		q.body, _ = jsontext.AppendQuote(append(q.body, ','), p[0])
		q.body, _ = jsontext.AppendQuote(append(q.body, ':'), p[1])
	}
	q.body = append(q.body, '}')
}

// appendEscaped is url.QueryEscape of visible ASCII, without garbage.
func appendEscaped(out, text []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range text {
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~' {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return out
}

// A worker has one request in flight at a time.
type worker struct {
	*run
	wire    *wire
	answers answers
	request Request
	tally   *tally
}

func (w *worker) work() {
	defer w.wire.close()
	for {
		due, ok := w.next()
		if !ok {
			return
		}
		c := w.pool.take(time.Now())
		for c == nil { // all are in use, parked or ended
			if w.stop.Err() != nil || w.pool.left() == 0 {
				w.halt()
				w.unanswered(w.tally, due)
				return
			}
			wait(w.stop, time.Millisecond)
			c = w.pool.take(time.Now())
		}
		if w.due == nil {
			due = time.Now() // a closed loop times servers, not the wait for a chain
		}
		w.renew(c, due)
	}
}

// next waits until a renewal is due, and returns when that was.
func (w *worker) next() (time.Time, bool) {
	if w.stop.Err() != nil {
		return time.Time{}, false
	}
	if w.due == nil {
		return time.Now(), true
	}
	select {
	case due := <-w.due:
		return due, true
	case <-w.stop.Done():
		return time.Time{}, false
	}
}

// Waits after a lost answer, doubled from the first to the last.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// renew sends the chain's token until an answer comes, and gives the chain
// back. due is when it was to begin: what a renewal took counts from there,
// lost answers included.
func (w *worker) renew(c *chain, due time.Time) {
	w.request.write(c)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := w.wire.exchange(w.request.fields, w.request.body)
		now := time.Now()
		if err == nil && w.settle(c, due, now) {
			return
		}
		if err == nil {
			err = lostUnreadable
		}
		w.fail("lost: "+err.Error(), now)
		wait(w.stop, pause)
		if w.stop.Err() != nil {
			w.unanswered(w.tally, due)
			w.pool.give(c)
			return
		}
	}
}

// settle does what the answer says. It returns false if the answer makes no
// sense, so that it is as good as lost.
func (w *worker) settle(c *chain, due, now time.Time) bool {
	switch status := w.wire.status; {
	case status == 200:
		refresh, ok := w.answers.renewed(w.wire.body)
		if !ok {
			return false
		}
		same := len(refresh) == 0 || bytes.Equal(refresh, c.token)
		if !same {
			c.token = append(c.token[:0], refresh...)
		}
		c.key = c.key[:0]
		w.renewed(same, due, now)
		w.pool.give(c)
	case status == 429 || status >= 500: // says nothing about the token
		w.fail(w.answers.refused(status, w.wire.body), now)
		w.pool.park(c, now.Add(max(w.wire.retryAfter, 100*time.Millisecond)))
	default:
		w.fail(w.answers.refused(status, w.wire.body), now)
		w.pool.end(c)
	}
	return true
}

func (w *worker) renewed(same bool, due, now time.Time) {
	if w.counts(due) {
		w.tally.took.Add(now.Sub(due))
	}
	switch {
	case !w.counts(now):
	case same:
		w.tally.repeated++
	default:
		w.tally.rotated++
	}
}

// fail counts what was no renewal.
func (w *worker) fail(kind string, now time.Time) {
	if w.counts(now) {
		w.tally.fail(kind, 1)
	}
}
