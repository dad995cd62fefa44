package serviceapi

import "time"

// Hurry makes streams quicker, and how many there may be.
func (a *API) Hurry(aliveEvery, writeTime time.Duration, followers int) {
	a.aliveEvery, a.writeTime, a.followers = aliveEvery, writeTime, make(chan struct{}, followers)
}

// Followers is how many streams there are.
func (a *API) Followers() int { return len(a.followers) }

// MaxIDs bounds the sessions in one event.
const MaxIDs = maxIDs
