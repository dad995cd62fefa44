// Package renewal owns the load: chains of real renewals by OAuth's refresh
// grant (RFC 6749 §6), how fast they were answered, and what they cost. A chain
// is one session's newest refresh token; each answer's token takes its place,
// and an earlier one is never sent again, except where the answer was lost.
//
// It speaks HTTP/1.1 by hand, so that it costs little beside what it measures,
// and refuses answers that are not exactly of that form, targets that are not on
// this machine, and tokens that no form can carry. The command in bench/load
// calls it, and so may any program that compares.
//
// To follow a request, read [Run] (run.go) down: pool.go hands out chains,
// pace.go says when, wire.go sends and reads, answer.go understands,
// histogram.go counts.
package renewal
