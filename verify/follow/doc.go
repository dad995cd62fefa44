// Package follow owns what a program without a database needs to verify Pawl's
// access tokens: the issuer's keys, and the sessions that were ended, both
// over HTTP. Package verify does the judging; [Follower.Verifier] is an
// ordinary verifier that does no input or output. A resource server calls this
// package, and gives package httpauth the verifier and [Follower.Note].
//
// Keys come from the issuer's /.well-known/jwks.json: over https, from that
// one URL, without redirects, within 64 KiB and 10 seconds, and not from a
// private address unless that is allowed. They are read again at least every
// minute, and a key is published for at least 6 before it signs. What cannot be
// read, or is not a good key set, changes nothing; a key that a good one no
// longer has is dropped. When no good one was read for longer than
// [Options].KeysStale, every token is refused with [ErrKeysStale]: whoever has a
// key that was withdrawn could otherwise use it for as long as the way to the
// issuer is cut.
//
// A token whose header no key writes is refused at once, and makes the set be
// read again: at once if that was not done within the last 10 seconds, else
// when they are over. One goroutine does that for all, so any number of
// invented headers cost one request in 10 seconds, and cannot keep a new key
// from being found: it is known 10 seconds after the first token that it
// signed was seen here, plus the time that one request takes. A header that
// was looked for and not found does not count for a minute. That is the longest
// delay, and only a cache in front of the issuer can bring it about.
//
// Ended sessions come as server-sent events from GET /v1/revocations of the
// service API. Until everything was told once, and when nothing was heard for
// longer than [Options].Stale, every token is refused with
// [verify.ErrStale], which is to be answered with 503: better no service than
// the thief's. [Options].DangerouslyAcceptStale turns that around.
//
// First uses of tokens go back by POST /v1/uses, since the issuer must learn
// that a client has what it was given.
//
// The package refuses plain http except on this machine, proxies of the
// environment, redirects, compressed answers, and whatever is larger or slower
// than its bounds. It needs no database, and depends on none.
package follow
