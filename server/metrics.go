package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/session"
)

// metrics are what the operations listener shows. No label carries anything
// that a client chose, or that names a user or a session.
type metrics struct {
	registry *prometheus.Registry
	events   *prometheus.CounterVec
	requests *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pawl_events_total", Help: "Events by type and reason, stored or not."}, []string{"type", "reason"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pawl_http_request_duration_seconds", Help: "Requests by method and status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}, []string{"method", "status"}),
	}
	// Alarms are there before anything happens: of a series that begins with 1,
	// nobody sees the increase.
	for _, alarm := range alarms {
		m.events.WithLabelValues(string(alarm.Type), alarm.Reason)
	}
	m.registry.MustRegister(m.events, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// alarms are the events for which one is too many.
var alarms = []session.Event{
	{Type: session.EventEnded, Reason: string(session.ReasonReuse)},
	{Type: session.EventEnded, Reason: string(session.ReasonShadow)},
	{Type: session.EventEnded, Reason: string(session.ReasonStoreBehind)},
	{Type: session.EventCaughtUp, Reason: string(session.ReasonStoreBehind)},
}

// observe counts an event. Types and reasons are ours, so their number is
// bounded.
func (m *metrics) observe(e session.Event) { m.events.WithLabelValues(string(e.Type), e.Reason).Inc() }

// watch adds what is read from a running Pawl when the metrics are asked for.
func (m *metrics) watch(p *pawl.Pawl) {
	gauge := func(name, help string, value func(pawl.Stats) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(p.Stats()) }))
	}
	gauge("pawl_revoked_sessions", "Ended sessions that are refused by this node.",
		func(s pawl.Stats) float64 { return float64(s.Revoked) })
	gauge("pawl_feed_age_seconds", "Time since this node last read which sessions were ended.",
		func(s pawl.Stats) float64 { return s.FeedAge.Seconds() })
	gauge("pawl_store_clock_ahead_seconds", "What the store's clock, by which all nodes go, is ahead of this machine's by.",
		func(s pawl.Stats) float64 { return s.ClockAhead.Seconds() })
	gauge("pawl_verification_keys", "Keys that verify access tokens.",
		func(s pawl.Stats) float64 { return float64(s.Keys) })
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "pawl_events_dropped_total", Help: "Events that were over the rate, or could not be stored."},
		func() float64 { return float64(p.Stats().EventsDropped) }))
	gauge("pawl_ready", "1 if this node accepts tokens.", func(s pawl.Stats) float64 {
		if s.Ready {
			return 1
		}
		return 0
	})
}

// handler serves the metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// measure times every request.
func (m *metrics) measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, s := time.Now(), &statusWriter{ResponseWriter: w}
		defer func() {
			m.requests.WithLabelValues(knownMethod(r.Method), strconv.Itoa(s.code())).Observe(time.Since(start).Seconds())
		}()
		next.ServeHTTP(s, r)
	})
}

// knownMethod bounds the number of label values: a client may send any word.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodPut, http.MethodPatch:
		return method
	}
	return "other"
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] find the writer.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *statusWriter) code() int {
	if s.status == 0 {
		return http.StatusOK
	}
	return s.status
}
