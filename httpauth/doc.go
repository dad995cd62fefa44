// Package httpauth owns the request side of HTTP: which credential a request
// carries, whether another site made it, whether it came to the right host
// over a secure transport, and who its client is behind trusted proxies.
//
// [Guard] puts these together. [Guard.Protect] is the middleware: it asks, in
// this order, whether the host is ours, whether the transport is secure,
// whether another site made the request (if it is unsafe and carries our
// cookies), and whether its one credential is a good access token. Then the
// principal is in the context and the handler runs. Nothing on this way reads
// a store or waits for a lock that a writer holds for long.
//
// Inside it, [Guard.RequireRecent] and [Guard.RequireAMR] ask for more than a
// good token: a recent login, or a stronger one. [LocalPath] judges where a
// browser may be sent on to.
//
// The package refuses two credentials at once, repeated headers that matter,
// hosts it does not know, plain http, and every cross-site use of a cookie. It
// never writes a cookie and knows no status: a refusal is an error of this
// package or of package verify, which package httpapi turns into an answer.
package httpauth
