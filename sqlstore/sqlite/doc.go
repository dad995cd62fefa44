// Package sqlite owns the store of one machine: one SQLite file that keeps
// sessions, signing keys, users, attempts to sign in, and events. It implements
// [sqlstore.Store]; the server and the commands open it.
//
// It owns no rule of the packages whose data that is. What it owns is durability: a method that
// returns without error has its work on disk, in the write-ahead log, synced.
//
// # One writer
//
// A goroutine that [Open] starts and [Store.Close] ends commits everything
// that queued up while the last commit ran, in one transaction: writing costs
// one sync for all that wait. Within it each call has a savepoint, so one that
// fails fails alone. Reads have connections of their own and wait for nobody;
// sessions are loaded on the writer's while it is idle, since its cache of
// pages is warm and that of a reader is empty after every commit.
//
// # Ended sessions
//
// The feed that package verify follows is an index of the rows that ended: it
// cannot disagree with them. An epoch is one row beside them. Every statement
// that asks whether a session lives asks that row, too; what was ended by it is
// written into the sessions later, in steps.
//
// # Other processes
//
// Other processes may have the same file open. They take turns by SQLite's
// locks; what must hold between them, such as one active signing key, are
// constraints of the schema.
//
// # What it refuses
//
// A file that is no database of Pawl, a database of a newer version, more
// waiting writes than the queue holds, and an argument that the schema cannot
// keep. No error of this package contains a stored value.
package sqlite
