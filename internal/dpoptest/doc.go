// Package dpoptest proves that clients of others and of our own work with DPoP
// against a whole Pawl. It holds no code that others call.
package dpoptest
