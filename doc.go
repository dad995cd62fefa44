// Package pawl keeps users signed in, and notices when somebody else is.
//
// It answers how an authentication token is best made, carried, stored,
// renewed and taken back: short-lived signed access tokens that scripts cannot
// read, refresh tokens that change at every use, theft detected at the next
// renewal, sessions ended everywhere within a second.
//
// # What to use
//
// [Open] a data directory, mount [Pawl.Handler], and wrap what only signed-in
// users may see in [Pawl.Protect]:
//
//	p, err := pawl.Open(ctx, pawl.Options{
//		Data:    "./pawl-data",
//		Origins: []string{"https://app.example.com"},
//	})
//	…
//	mux.Handle("/auth/", p.Handler())
//	mux.Handle("/.well-known/", p.Handler())
//	mux.Handle("/", p.Protect(app))
//
// Inside a protected handler [PrincipalFrom] says who calls. What a stolen
// session must not be enough for goes behind [Pawl.RequireRecent] as well.
//
// Pawl has users, and pages to sign in, to see one's devices and to change the
// password; Options.Brand makes them look like yours. A program with users of
// its own names its sign-in page in Options.SignInPage and calls [Pawl.SignIn]
// there. The directory examples has a program for each way.
//
// Programs in other languages run the pawl server beside them (command
// pawl). A resource server that has the key set needs package verify alone.
//
// # Keys
//
// The data directory holds a database and a master key. Either of them alone
// contains nothing that can be turned into a token: keep them apart in
// backups. Signing keys are made, published, rotated and retired by
// themselves.
//
// # Reading on
//
// The packages stand on a ladder: token (the two formats), keyring (the life
// of keys), verify (is this access token good?), session (the ratchet; its
// file decide.go is the heart), account (passwords), sqlstore, httpauth
// (requests), httpapi (answers), pages (what people see), and this one, which
// wires them and decides nothing.
package pawl
