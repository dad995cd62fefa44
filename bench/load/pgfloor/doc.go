// Package pgfloor owns the floor under renewals on PostgreSQL: one prepared
// UPDATE … RETURNING of one row by its primary key, sent by PostgreSQL's own
// pgbench. Nothing that writes one row at a time does less.
//
// It works in a schema of its own, which it makes and drops, and refuses to
// touch one that is there already. Passwords go to the client programs by their
// environment. The command in bench/load calls it, and so may any program that
// compares.
package pgfloor
