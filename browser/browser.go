// Package browser owns the client that runs in web pages: an ES module without
// dependencies, which keeps a page signed in and never sees a token. Package
// httpapi serves it.
//
// pawl.js is its source, and dist/pawl.js what is published: the same without
// comments and long names, made by "npm run build", so that it stays under 3 KB
// compressed. "npm test" runs the tests in test on both; the browser, the network
// and the server that they need are in model.
package browser

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

// Script is the client as it is published.
//
//go:embed dist/pawl.js
var Script []byte

// Hash names these bytes: 16 characters of base64url.
var Hash = func() string {
	sum := sha256.Sum256(Script)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}()
