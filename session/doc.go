// Package session owns the ratchet: one session is one row, every renewal
// moves it one generation on, and a token from an earlier generation is
// recognised for as long as the session lives.
//
// One pure function, decide, is the whole rule; the [Engine] loads rows,
// asks decide, and stores what it said by compare-and-swap before anything is
// signed or sent. The engine knows neither HTTP nor SQL, and reads no clock:
// "now" is the store's, read together with the row.
//
// The package declares what it needs of a store ([Store]); memstore is the
// reference implementation, storetest the suite that every implementation
// passes, and explore walks every interleaving of the engine with clients
// that crash and thieves that wait.
package session
