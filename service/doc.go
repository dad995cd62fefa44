// Package service owns what other programs of the same owner are to Pawl: the
// credentials by which they call it, what each may do ([Scope]), and the codes
// by which a browser gets a session that such a program vouches for.
//
// # Credentials
//
// A service has a name and a secret of 32 random bytes, which is shown once and
// kept as its SHA-256: so much chance needs no slow hash. An unknown name, a
// wrong secret and a malformed one are the same [ErrCredentials] after the same
// work. There is no scope that contains another, and none that a service has
// without being given it.
//
// # Codes
//
// An application that authenticates its users itself must not hold their
// tokens: it would be one more place to steal them from. So it gets a code,
// which it hands to the browser, and which the browser redeems at Pawl for
// cookies:
//
//  1. Before the sign-in begins, Pawl gives the browser a cookie with 32 random
//     bytes, and the page a hash of them, the binding ([BindingOf]).
//  2. The page sends the binding to the application along with what proves who
//     the user is; the application asks for a code for the two
//     ([Services.Offer]).
//  3. The browser presents the code; its cookie must have that binding
//     ([Services.Look], [Services.Take]).
//
// A code is good for [CodeLife], once, and in that browser only. It is stored
// as a hash. A code of somebody else's, planted in a victim's browser to sign
// the victim in as the attacker, fails for want of the attacker's cookie; so
// does one that was read on its way. Looking changes nothing: a stranger who
// has a code but not the cookie cannot spoil it.
//
// Whoever ends all sessions of a user also calls [Services.Drop]. Taking the
// code comes after the session is stored, so either it fails, or whoever
// dropped the user's codes finds the session.
//
// # Who calls it
//
// The routes for services, introspection, the route by which browsers redeem
// codes, and the command line. Stores implement [Store] and prove it with the
// suite in package servicetest. This package knows neither HTTP nor SQL, and
// reads no clock: times are the store's.
package service
