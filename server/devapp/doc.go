// Package devapp owns the application that "pawl serve --dev" shows at "/": a
// page that explains Pawl to whoever opens it first, lets them renew, replay
// an old token and sign out, and tries to find a token from script.
//
// To replay a token that no script can read, it keeps what a thief would have:
// a [Tape] remembers, in memory and bounded, the refresh token that the last
// turn of each session replaced. That is why this package is for development
// only, and package server, its only caller, serves it on loopback only. It
// refuses nothing and decides nothing by itself: what it shows is protected by
// [pawl.Pawl.Protect], and replays go through the same handler as any request.
package devapp
