// Package dbsc speaks the server's side of Device Bound Session Credentials
// (W3C, webappsec-dbsc), by which a browser proves that it still holds a key
// that never leaves its device: the identifiers and instructions that a
// browser is given, the challenges that it must answer, and the proofs that it
// answers with.
//
// It refuses whatever it did not make itself or that is not signed by ES256,
// and knows neither HTTP nor sessions: package httpapi asks it and decides
// with package session what follows. Where Chromium and the draft differ, it
// follows Chromium; docs/decisions/0023 lists where.
package dbsc
