// Package archtest keeps the house in order, as tests: the import ladder, the
// package comments, the calls that are forbidden, the sizes, the list of
// dependencies, and that the documents name only what exists. It holds no
// code that others call.
package archtest
