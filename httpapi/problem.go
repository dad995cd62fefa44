package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// What the pages and the routes of services refuse as the routes here do.
var (
	// ErrMethod says that a request has a method that its path does not take;
	// the answer's Allow names those that it takes.
	ErrMethod = errors.New("httpapi: wrong method")
	// ErrMediaType says that a body is not of the media type that is taken.
	ErrMediaType = errors.New("httpapi: wrong media type")
	// ErrBody says that a body is not exactly of the declared form.
	ErrBody = errors.New("httpapi: malformed body")
)

// What this package itself refuses.
var (
	errNotFound        = errors.New("httpapi: no such route")
	errNoSession       = errors.New("httpapi: no such session of this user")
	errDestination     = errors.New("httpapi: the answer is no page, frame or script")
	errTooLarge        = errors.New("httpapi: body too large")
	errRepeated        = errors.New("httpapi: repeated parameter")
	errParameter       = errors.New("httpapi: missing parameter")
	errIdempotencyKey  = errors.New("httpapi: malformed Idempotency-Key")
	errClient          = errors.New("httpapi: unknown client")
	errForeignToken    = errors.New("httpapi: the token is another client's")
	errScope           = errors.New("httpapi: scope exceeds what the client may have")
	errOrigin          = errors.New("httpapi: this origin is not listed for the client")
	errSignupOff       = errors.New("httpapi: nobody may sign up here")
	errWrongPassword   = errors.New("httpapi: the current password is wrong")
	errPasswordChanged = errors.New("httpapi: the password is changed, but sessions of the old one may be left")
	errTooMany         = errors.New("httpapi: too many renewals of one session")
	errGrantType       = errors.New("httpapi: unsupported grant type")
	errService         = errors.New("httpapi: not a service")
	errServiceScope    = errors.New("httpapi: the service was not given that scope")
	errTooManyFailures = errors.New("httpapi: too many failures of one network")
)

// An outcome is how the world sees an error: all of it is public.
type outcome struct {
	err    error
	status int
	code   string // stable; clients decide by it
	detail string
	// challenge is the error of the Bearer challenge (RFC 6750 §3.1). A 401
	// without one was sent no credential, and is told none.
	challenge string
	oauth     string // code on OAuth routes (RFC 6749 §5.2); empty: invalid_request
}

const (
	loginRequired = "Sign in again."
	badProof      = "Send one fresh DPoP proof, made for this request with the key that the token is bound to."
	needNonce     = "Make the DPoP proof with the nonce that DPoP-Nonce has."
	stepUp        = "insufficient_user_authentication" // RFC 9470 §3
)

// outcomes is the one table from what was decided to what is answered. The
// first that the error matches is taken. All failures of a token look alike.
var outcomes = []outcome{
	// Before its cause, since it is too late to try again.
	{errPasswordChanged, 500, "password_changed", "The password is changed, but other sessions may go on. Sign in with the new one and end them.", "", ""},

	// Before all other refusals, which it is one of.
	{session.ErrBindingRequired, 403, "binding_required", "A session must be bound to a key of the device.", "", "invalid_request"},
	{session.ErrRefused, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{session.ErrBusy, 503, "busy", "Too many renewals are waiting. Try again.", "", "temporarily_unavailable"},
	{session.ErrUnavailable, 503, "unavailable", "The service cannot answer now. Try again.", "", "temporarily_unavailable"},

	{verify.ErrMalformed, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrUnknownKey, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrSignature, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrExpired, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrNotYet, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrIssuer, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrAudience, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrRevoked, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{verify.ErrStale, 503, "unavailable", "The service cannot answer now. Try again.", "", "temporarily_unavailable"},

	{account.ErrCredentials, 401, "login_failed", "User name or password is wrong.", "", "invalid_grant"},
	{account.ErrInitialPassword, 403, "password_change_required", "This password is an initial one. Send another with it.", "", ""},
	{account.ErrNotInitial, 400, "password_not_initial", "This password is no initial one. Sign in with it alone.", "", ""},
	{account.ErrNotFound, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{account.ErrThrottled, 429, "too_many_attempts", "Too many attempts. Wait, and try again.", "", "temporarily_unavailable"},
	{account.ErrBusy, 503, "busy", "Too many sign-ins are under way. Try again.", "", "temporarily_unavailable"},
	{account.ErrName, 400, "invalid_username", "This user name is not allowed.", "", ""},
	{account.ErrPassword, 400, "weak_password", "This password is not allowed.", "", ""},
	{account.ErrNameTaken, 409, "name_taken", "This user name is taken.", "", ""},
	{account.ErrUnavailable, 503, "unavailable", "The service cannot answer now. Try again.", "", "temporarily_unavailable"},

	{service.ErrCredentials, 401, "service_required", "Send the credentials of a service.", "", "invalid_client"},
	{service.ErrCode, 401, "code_refused", "This code is no good in this browser. Sign in again.", "", "invalid_grant"},
	{service.ErrBinding, 400, "malformed_handoff", "Send the handoff that the browser was given before the sign-in.", "", ""},
	{service.ErrUnavailable, 503, "unavailable", "The service cannot answer now. Try again.", "", "temporarily_unavailable"},

	{httpauth.ErrMisdirected, 421, "misdirected", "This host is not served here.", "", ""},
	{httpauth.ErrInsecure, 403, "https_required", "Use https.", "", ""},
	{httpauth.ErrRepeatedHeader, 400, "repeated_header", "A header that must be sent once was repeated.", "", ""},
	{httpauth.ErrCrossSite, 403, "cross_site", "The request does not come from this site.", "", "access_denied"},
	{httpauth.ErrCSRFToken, 403, "csrf_token_required", "Send the session's CSRF token.", "", "access_denied"},
	{httpauth.ErrRecentLogin, 401, "recent_login_required", "Sign in again to do this.", stepUp, ""},
	{httpauth.ErrLoginMethods, 401, "login_methods_required", "Sign in by the methods that this needs.", stepUp, ""},
	{httpauth.ErrNoCredential, 401, "login_required", loginRequired, "", "invalid_grant"},
	{httpauth.ErrDuplicateCookie, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{httpauth.ErrUnproved, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{httpauth.ErrNotBound, 401, "login_required", loginRequired, "invalid_token", "invalid_grant"},
	{errIssuerProof, 400, "invalid_dpop_proof", badProof, "", "invalid_dpop_proof"},
	{errIssuerNonce, 400, "use_dpop_nonce", needNonce, "", "use_dpop_nonce"},
	{dpop.ErrProof, 401, "invalid_dpop_proof", badProof, "invalid_dpop_proof", "invalid_dpop_proof"},
	{dpop.ErrNonce, 401, "use_dpop_nonce", needNonce, "use_dpop_nonce", "use_dpop_nonce"},
	{dpop.ErrFull, 503, "busy", "Too many proofs are in use. Try again.", "", "temporarily_unavailable"},
	{httpauth.ErrTwoCredentials, 400, "two_credentials", "Send either the cookie or one Authorization header.", "invalid_request", ""},
	{httpauth.ErrAuthorization, 400, "malformed_authorization", "Send \"Authorization: Bearer\", or DPoP, and the token.", "invalid_request", ""},

	{httpauth.ErrUnbound, 403, "binding_required", "A session must be bound to a key of the device.", "", "access_denied"},
	{errProof, 401, "login_required", loginRequired, "invalid_token", ""},
	{errChallenge, 403, "challenge", "Answer the challenge by a proof of the device.", "", ""},
	{errProofRate, 503, "busy", "This session renews too often. Wait, and try again.", "", ""},
	{errSkipped, 503, "unavailable", "The browser could not renew the session. Try again.", "", ""},

	{errNotFound, 404, "not_found", "There is nothing here.", "", ""},
	{errNoSession, 404, "not_found", "There is no such session.", "", ""},
	{ErrMethod, 405, "method_not_allowed", "Use a method that Allow names.", "", ""},
	{errDestination, 403, "wrong_destination", "The answer is no page, frame or script.", "", ""},
	{ErrMediaType, 415, "unsupported_media_type", "Send the declared media type, in UTF-8, uncompressed.", "", ""},
	{errTooLarge, 413, "too_large", "Send a shorter body.", "", ""},
	{ErrBody, 400, "malformed_body", "The body is malformed, or has unknown, repeated, missing or wrong members.", "", ""},
	{errRepeated, 400, "repeated_parameter", "Send each parameter once.", "", ""},
	{errParameter, 400, "missing_parameter", "A required parameter is missing.", "", ""},
	{errIdempotencyKey, 400, "malformed_idempotency_key", "Send one Idempotency-Key of 1 to 255 visible ASCII characters.", "", ""},
	{errClient, 400, "unknown_client", "This client may not hold tokens here.", "", "invalid_client"},
	{errForeignToken, 400, "wrong_client", "The token was issued to another client.", "", "invalid_grant"},
	{errScope, 400, "invalid_scope", "The scope exceeds what may be granted.", "", "invalid_scope"},
	{errOrigin, 403, "origin_not_listed", "Pages of this origin may not hold tokens of this client.", "", "access_denied"},
	{errSignupOff, 403, "signup_off", "Accounts are not made here.", "", ""},
	{errWrongPassword, 403, "wrong_password", "The current password is wrong.", "", ""},
	{errTooMany, 429, "too_many_renewals", "This session renews too often. Wait, and try again.", "", "temporarily_unavailable"},
	{errGrantType, 400, "unsupported_grant_type", "Only refresh_token is supported.", "", "unsupported_grant_type"},
	{errServiceScope, 403, "service_scope_required", "This service was not given the scope for that.", "", "insufficient_scope"},
	{errTooManyFailures, 429, "too_many_attempts", "Too many attempts. Wait, and try again.", "", "temporarily_unavailable"},
	{errService, 401, "service_required", "Send the credentials of a service.", "", "invalid_client"},

	{context.Canceled, 503, "unavailable", "The service cannot answer now. Try again.", "", "temporarily_unavailable"},
	{context.DeadlineExceeded, 503, "unavailable", "The service cannot answer now. Try again.", "", "temporarily_unavailable"},
}

// internal is the outcome of what nobody foresaw: it says nothing.
var internal = outcome{status: 500, code: "internal", detail: "Something went wrong here.", oauth: "server_error"}

func outcomeOf(err error) *outcome {
	for i := range outcomes {
		if errors.Is(err, outcomes[i].err) {
			return &outcomes[i]
		}
	}
	return &internal
}

// A Problem is an RFC 9457 document. Its type is about:blank, so its title is
// the status's name (§4.2.1); what a client decides by is the code.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`

	// Extension members (§3.2).
	Methods []string `json:"methods,omitempty"` // that a login must use (RFC 8176)
	Rule    string   `json:"rule,omitzero"`     // that a name or a password breaks
	Min     int      `json:"min,omitzero"`      // least length of a password, in characters
}

// NewProblem returns the document for a status, with a code and a detail that
// may be told.
func NewProblem(status int, code, detail string) Problem {
	return Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// ProblemOf is [Describe] for whoever answers with a document.
func ProblemOf(err error) Problem {
	o := outcomeOf(err)
	doc := NewProblem(o.status, o.code, o.detail)
	if needs, ok := errors.AsType[*httpauth.StepUpError](err); ok {
		doc.Methods = needs.Methods
	}
	return doc.WithRule(err)
}

// WithRule adds which rule a name or a password breaks, if err says so.
func (p Problem) WithRule(err error) Problem {
	if fault, ok := errors.AsType[*account.PasswordError](err); ok {
		p.Rule, p.Min = fault.Rule, fault.Min
	}
	if fault, ok := errors.AsType[*account.NameError](err); ok {
		p.Rule = fault.Rule
	}
	return p
}

// Write answers with the document.
func (p Problem) Write(w http.ResponseWriter) {
	body, _ := json.Marshal(&p)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	w.Write(body) // who has gone away needs no answer
}

// refuseProblem answers a failure with a problem document.
func (a *API) refuseProblem(w http.ResponseWriter, r *http.Request, err error) {
	o := a.fail(w, r, err)
	if o.status == http.StatusUnauthorized || o.challenge != "" {
		w.Header()["Www-Authenticate"] = a.challenges(r, o, err)
	}
	ProblemOf(err).Write(w)
}

// refuseOAuth answers a failure in the form that OAuth clients know (RFC 6749
// §5.2).
func (a *API) refuseOAuth(w http.ResponseWriter, r *http.Request, err error) {
	o := a.fail(w, r, err)
	status, code := o.status, cmp.Or(o.oauth, "invalid_request")
	switch code {
	case "invalid_grant":
		status = http.StatusBadRequest
	case "invalid_client":
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", ServiceChallenge)
	}
	body, _ := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, o.detail})
	w.Header().Set("Content-Type", jsonBody)
	w.WriteHeader(status)
	w.Write(body)
}

// fail starts the answer to a failure: whatever a handler had prepared is
// taken back, above all its cookies.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) *outcome {
	a.harden(w, r)
	withdrawCookies(w)
	for _, name := range []string{"Clear-Site-Data", dbsc.RegistrationHeader, "Content-Length", "Content-Encoding", "ETag", "Last-Modified"} {
		w.Header().Del(name)
	}
	o := outcomeOf(err)
	if o.status >= 500 {
		a.Log.LogAttrs(r.Context(), slog.LevelError, "request failed",
			slog.String("method", r.Method), slog.String("code", o.code), slog.Any("error", err))
	}
	if after := retryAfter(o, err); after > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(seconds(after), 10))
	}
	return o
}

// retryAfter is when to come back, in whole seconds, rounded up; zero: it is
// not for time to mend.
func retryAfter(o *outcome, err error) time.Duration {
	if o.status != http.StatusServiceUnavailable && o.status != http.StatusTooManyRequests {
		return 0
	}
	wait := time.Second
	if busy, ok := errors.AsType[*account.BusyError](err); ok {
		wait = max(wait, busy.RetryAfter)
	}
	if throttled, ok := errors.AsType[*account.ThrottledError](err); ok {
		wait = max(wait, throttled.RetryAfter)
	}
	return (wait + time.Second - 1).Truncate(time.Second)
}

// A Description is what may be told about a failure.
type Description struct {
	Status     int           // of HTTP
	Code       string        // stable, as in a problem document
	RetryAfter time.Duration // whole seconds; zero: trying again does not help
}

// Describe looks an error of this API, or of a [httpauth.Guard], up in the one
// table of outcomes. An error that nobody foresaw is 500 "internal".
func Describe(err error) Description {
	o := outcomeOf(err)
	return Description{Status: o.status, Code: o.code, RetryAfter: retryAfter(o, err)}
}

// challenges are the values of WWW-Authenticate (RFC 6750 §3, RFC 9470 §3, RFC
// 9449 §7.1): who sent nothing is told every scheme that is accepted; an error is
// told under the scheme that the request must have.
func (a *API) challenges(r *http.Request, o *outcome, err error) []string {
	dpopAlgs := `algs="` + strings.Join(dpop.Algorithms(), " ") + `"`
	if o.challenge == "" {
		if a.Guard.DPoP == nil {
			return []string{"Bearer"}
		}
		if a.Guard.RequireDPoP {
			return []string{"DPoP " + dpopAlgs}
		}
		return []string{"Bearer", "DPoP " + dpopAlgs}
	}
	text := fmt.Sprintf(`error="%s"`, o.challenge)
	if needs, ok := errors.AsType[*httpauth.StepUpError](err); ok && needs.MaxAge > 0 {
		text += fmt.Sprintf(", max_age=%d", seconds(needs.MaxAge))
	}
	if a.Guard.DPoP != nil && httpauth.NeedsProof(r, err) {
		return []string{"DPoP " + text + ", " + dpopAlgs}
	}
	return []string{"Bearer " + text}
}

// survive answers a panic of a handler with 500. The panic's value may hold
// what a client sent, so only its type is logged, and where it came from.
func (a *API) survive(w http.ResponseWriter, r *http.Request) {
	value := recover()
	if value == nil {
		return
	}
	if value == http.ErrAbortHandler {
		panic(value)
	}
	text := fmt.Sprintf("%T", value)
	if fault, ok := value.(runtime.Error); ok {
		text = fault.Error()
	}
	a.Log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
		slog.String("panic", text), slog.String("stack", string(debug.Stack())))
	a.refuseProblem(w, r, errPanic)
}

// errPanic is in no table on purpose: it is the outcome nobody foresaw.
var errPanic = errors.New("httpapi: a handler panicked")
