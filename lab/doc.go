// Package lab attacks every way in which people keep a token, and tells what
// came of it.
//
// It owns a small application, a bank, in one build for each [Way]; an
// internet of its own on loopback, where the bank has a sibling and a stranger
// as neighbours; and the [Attack]s. Each attack is tried against each way in a
// world of its own, a [Cell]: a bank with its customers, names that no other
// cell has, and a thief with an account at the same bank. A thief who needs the
// browser of his victim works in a real one; a thief who has what he wants
// works without.
//
// The careless ways are what tutorials teach and people deploy, each with the
// mistakes that go with it where it is taught, and no others; the Pawl of the
// lab is package pawl with the policy "default". All builds have the same hole
// through which script comes into their pages, since the question is what a
// token's keeping is worth on that day.
//
// It refuses to speak to anything but loopback. Command pawl calls it, and a
// test that holds every cell to the table that is published.
package lab
