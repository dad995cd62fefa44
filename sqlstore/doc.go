// Package sqlstore owns what the stores over SQL have in common: what is asked
// of one ([Store]), the form in which it tells of events and of its own
// soundness, its errors, and how one is copied into another ([Copy]).
//
// Package sqlite keeps everything in one file, for one machine; package
// postgres in a PostgreSQL, for any number of them. They share no statement:
// what is good for the one is wrong for the other. Package sqlstoretest is the
// suite that both pass, after those of packages session and account.
package sqlstore
