// Package serviceapi owns the routes below /v1/, by which other programs of the
// same owner call Pawl: to make users, to start sessions for users whom they
// have authenticated, to list and end sessions, and to follow what happens. The
// server mounts them on the operations listener, which is not the public one
// (OWASP ASVS 5.0 §13.2.1).
//
// Every request carries the name and the secret of a service (HTTP Basic, RFC
// 7617), and every route wants a scope of its own; see package service. What a
// service does is recorded as an event with its name as the actor; what is
// refused is recorded too.
//
// To follow a request, read from routes.go down: the table says which scope a
// route wants and what answers it. problem.go has what is answered differently
// here than on the public routes, whose table decides all else. stream.go tells
// followers which sessions end.
//
// What the package refuses: a request over plain http from another machine, one
// that a browser made, a path, method, parameter, member or media type that is
// not declared. Bodies are JSON, without duplicate, unknown or case-folded
// names. It sets no cookie, sends no CORS header and never redirects; nothing
// it answers may be kept by a cache.
package serviceapi
