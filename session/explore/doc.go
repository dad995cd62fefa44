// Package explore walks every interleaving of the real [session.Engine] over
// memstore with an owner whose messages are lost, late and out of order, whose
// browser crashes and whose tabs race, with a store that fails over, and with
// a thief; and checks in every state that can be reached that nobody honest is
// logged out, that a thief is found, that no session comes back to life, and
// that it has one line of tokens. See [Property].
//
// It owns the model of the parties and of time, and the statement of the
// properties. It owns no rule of the ratchet: what becomes of a renewal, a
// report or a sign-out is always the engine's word. It refuses a world that
// contradicts itself. Tests call it, and whoever wants to know what a policy is
// worth; nothing in a server does.
//
// # What a step is
//
// A state is the store's content, the clock, what the owner and the thief
// hold, and every message under way. One step lets one thing happen: a tick
// passes, a message is sent or arrives, the browser crashes, the store loses
// its last write, the thief copies, renews or uses. Requests to the engine run
// to their end, alone, and once more with every other thing that can reach the
// store (another renewal, a report, a sign-out, a tick) between their first
// decision and their first write. What is lost is a message that is not
// delivered in time, or an answer that nobody sees.
//
// # Why nothing is left out
//
// States that differ only in what nothing looks at are one: generations count
// from the row's, and times are ages, up to the greatest that anything is
// compared with. So a walk comes to an end although time and generations do
// not, and "complete" says of sessions of any length that no further state can
// be reached with so many messages under way.
//
// Time goes in ticks, and everything that the assumptions bound is a whole
// number of ticks. All their bounds include the limit (at most, at least).
// For such bounds every run in continuous time has one at whole ticks with the
// same order of events (Henzinger, Manna, Pnueli: What Good Are Digital
// Clocks?, ICALP 1992). The engine's comparisons exclude it on one side;
// so wherever an age meets the turn interval or the race window exactly, the
// step is taken twice, once with thresholds a nanosecond longer. That may take
// in runs that no clock allows; it leaves none out. "iat" is taken to be
// rounded down by a whole second, the worst that rounding does. The idle limit
// and the absolute end are met one way only: at them a session is over.
//
// These stand for others, so they are not told apart:
//   - two tabs that talk to each other are one that may send twice;
//   - a request that is lost is one that was not sent; a store that fails a
//     write, or fails after it, loses the request, or the answer;
//   - a verifier whose clock is behind is one that did not report;
//   - the thief sends when he likes, so his messages take no time.
//
// Left out are renewals of one session decided in one batch, more than one
// thing between a reading and its writing, and bound sessions.
package explore
