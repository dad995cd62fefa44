package httpauth

import "errors"

// Why a request is refused before its token is looked at.
var (
	// ErrMisdirected says that the request names a host that is not ours, or
	// names it in the request target.
	ErrMisdirected = errors.New("httpauth: the request is for a host that is not served here")
	// ErrInsecure says that the request came over plain http.
	ErrInsecure = errors.New("httpauth: the request came over plain http; use https")
	// ErrRepeatedHeader says that a header that decides was sent twice.
	ErrRepeatedHeader = errors.New("httpauth: a header that must be sent once was repeated")
	// ErrCrossSite says that the request does not prove that our own site
	// made it.
	ErrCrossSite = errors.New("httpauth: the request does not come from our own site")
	// ErrCSRFToken says that the request lacks the CSRF token of its session,
	// where [Options.RequireCSRFToken] wants one.
	ErrCSRFToken = errors.New("httpauth: the request lacks the CSRF token of its session")
)

// Why a request has no credential that could be verified.
var (
	// ErrNoCredential says that there is no credential, or only one of an
	// authentication scheme that is not ours.
	ErrNoCredential = errors.New("httpauth: the request carries no credential")
	// ErrTwoCredentials says that a cookie and an Authorization header came
	// together, or several Authorization headers.
	ErrTwoCredentials = errors.New("httpauth: the request carries more than one credential; send either the cookie or Authorization")
	// ErrAuthorization says that the Authorization header is not of the form
	// "Bearer token" or "DPoP token".
	ErrAuthorization = errors.New("httpauth: malformed Authorization header")
	// ErrDuplicateCookie says that the access cookie came twice, so that it
	// cannot be told which one is ours.
	ErrDuplicateCookie = errors.New("httpauth: the access cookie came more than once")
	// ErrUnproved says that the token is bound to a key that the request does
	// not prove.
	ErrUnproved = errors.New("httpauth: the token is bound to a key that was not proved")
	// ErrNotBound says that the token is bound to no key, where one is proved or
	// [Options.RequireDPoP] wants one.
	ErrNotBound = errors.New("httpauth: the token is not bound to a key")
)
