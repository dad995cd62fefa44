// Package faulttest holds what Pawl promises when machines fail against the
// failures themselves: real "pawl serve" processes on a real PostgreSQL that is
// killed, paused, cut off, filled up, replaced or put back, while honest
// clients renew, owners sign out and thieves wait. After each failure the data
// is whole, what was acknowledged is kept, and whoever was honest goes on. It
// holds no code that others call.
package faulttest
