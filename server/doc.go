// Package server owns the pawl server as a process: its configuration, its
// two listeners, its metrics, its start and its orderly end, and what an
// operator does to the data from the command line beside it.
//
// It decides nothing about tokens or sessions; package pawl wires those, and
// cmd/pawl turns flags into a [Config].
package server
