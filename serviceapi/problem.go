package serviceapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
)

// What this package itself refuses.
var (
	errNotFound  = errors.New("serviceapi: no such route")
	errBrowser   = errors.New("serviceapi: the request of a browser")
	errQuery     = errors.New("serviceapi: malformed query")
	errNoUser    = errors.New("serviceapi: no such user")
	errSubject   = errors.New("serviceapi: a subject of another issuer")
	errFollowers = errors.New("serviceapi: too many followers")
	errStopping  = errors.New("serviceapi: this server is stopping")
	errStale     = errors.New("serviceapi: the feed of ended sessions cannot be read")
)

// An outcome is what a service is told about an error.
type outcome struct {
	err    error
	status int
	code   string // stable
	detail string
}

// outcomes are those that only exist here, and those where a service is told
// more than the public: whether a user exists, and what is wrong with a value
// that it passed on. [httpapi.ProblemOf] has all others. The first that the
// error matches is taken.
var outcomes = []outcome{
	{errNotFound, 404, "not_found", "There is nothing here."},
	{errBrowser, 403, "browser_refused", "These routes are for programs, not for pages."},
	{errQuery, 400, "malformed_query", "The query has unknown, repeated, missing or wrong parameters."},
	{errNoUser, 404, "no_such_user", "There is no such user."},
	{account.ErrNotFound, 404, "no_such_user", "There is no such user."},
	{account.ErrCredentials, 403, "user_refused", "This user is disabled, or was changed a moment ago."},
	{account.ErrName, 422, "invalid_username", "This user name is not allowed."},
	{account.ErrPassword, 422, "weak_password", "This password is not allowed."},
	{errSubject, 422, "foreign_subject", "The subject is another issuer's: nobody here can be signed out for it."},
	{errFollowers, 503, "too_many_followers", "Too many programs follow the revocations here. Try again."},
	{errStopping, 503, "unavailable", "The service cannot answer now. Try again."},
	{errStale, 503, "unavailable", "The service cannot answer now. Try again."},
}

func problemOf(err error) httpapi.Problem {
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return httpapi.NewProblem(o.status, o.code, o.detail).WithRule(err)
		}
	}
	return httpapi.ProblemOf(err)
}

// refuse answers a failure. Only what the two tables say leaves the process.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	doc := problemOf(err)
	if doc.Status >= 500 {
		a.API.Log.LogAttrs(r.Context(), slog.LevelError, "request of a service failed",
			slog.String("method", r.Method), slog.String("code", doc.Code), slog.Any("error", err))
	}
	switch doc.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", httpapi.ServiceChallenge)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		after := max(time.Second, httpapi.Describe(err).RetryAfter)
		w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	}
	doc.Write(w)
}

// survive answers a panic of a handler with 500. Its value may hold what a
// service sent, so only its type is logged.
func (a *API) survive(w http.ResponseWriter, r *http.Request) {
	value := recover()
	if value == nil {
		return
	}
	if value == http.ErrAbortHandler {
		panic(value)
	}
	a.API.Log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
		slog.String("panic", fmt.Sprintf("%T", value)), slog.String("stack", string(debug.Stack())))
	a.refuse(w, r, errPanic)
}

// errPanic is in no table on purpose.
var errPanic = errors.New("serviceapi: a handler panicked")

// answer writes a document. It is encoded before anything is written.
func answer(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) // who has gone away needs no answer
	return nil
}

// done answers what has nothing to say.
func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
