// Package httpapi owns the endpoint side of HTTP: the routes below the prefix
// (sign-in, sign-up, renewal, sign-out, password, the list of devices, OAuth's
// token, revoke and introspect, forward auth) and the two public documents.
//
// What a form or a program needs as well is a method of [API]: SignIn, SignUp,
// Start, SignOut, Renew, ChangePassword, Viewer, Devices, EndDevice and
// EndOtherDevices. Each judges its request, does the whole thing, and writes
// only cookies; the JSON routes read a body, call the same code, and answer.
// [Describe] tells a page about an error, [API.Refuse] answers a request with
// one, and [API.ReturnTo] judges where to go on to.
//
// To follow a request, read from routes.go down: the table says what each
// route takes, who may call it and what answers it; [API.ServeHTTP] applies
// the table. begin.go is the one way to a session, cookie.go the only place
// that writes a cookie, problem.go the only one that turns an outcome into a
// status.
//
// What the package refuses is always the same: a request for another host or
// over plain http, one that another site made, a path or method that is not
// in the table, a body that is not exactly of the declared form. No failure
// clears a cookie of a session, writes one, or says more than its public code;
// the cause goes to the log.
//
// A program that authenticates users itself is a service (see package service).
// It gets tokens or a code for a user by [API.GiveTokens] and [API.GiveCode];
// handoff.go is the browser's side, which redeems codes. Package serviceapi has
// the routes of services; here they introspect only.
//
// The package decides nothing about sessions: it parses once, asks package
// session, and writes the answer. It limits how often one session renews, and how
// often one network presents codes or credentials of services that are no good
// (429), and passes on the refusals for want of capacity (503), all with
// Retry-After.
package httpapi
