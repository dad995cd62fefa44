package dbsc

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/pawlauth/pawl/token"
)

// A Purpose is what a challenge is good for, and nothing else.
type Purpose byte

// The purposes. A sign-in is answered with one of the first two.
const (
	// Registration: together with the cookies that came in the same answer. It
	// is for an answer that a script may have read: a script that is not ours
	// knows the challenge then, but can carry no HttpOnly cookie away.
	Registration Purpose = 'r'
	// RegistrationAlone: the challenge suffices. It is for the answer to a
	// navigation from another site, which no script of the page can read, though
	// a service worker of the site can: Chromium sends no cookies with the
	// registration that follows one.
	RegistrationAlone Purpose = 'a'
	// Renewal: of a session that is bound.
	Renewal Purpose = 'n'
)

// How long a challenge can be answered. A browser registers at once; one that
// was given a challenge with its last renewal answers it at the next, and gets
// another for the asking if that is too late.
const (
	RegistrationLife = 5 * time.Minute
	RenewalLife      = time.Hour
)

// clockSkew is how far the clocks of nodes may differ.
const clockSkew = time.Minute

// A Challenge is what a proof must be an answer to.
type Challenge struct {
	Purpose Purpose
	Session token.ID
	// Generation is the session's when the challenge was made. A renewal moves
	// the session on, and so uses up every challenge that was outstanding.
	Generation uint32
	Made       time.Time // whole seconds
}

// ErrChallenge says that a text is no challenge that was made here, or was too
// long ago.
var ErrChallenge = errors.New("dbsc: not a challenge that can be answered now")

const (
	challengeRandom = 8
	generationAt    = 1 + len(token.ID{})
	generationSize  = 4
	challengeBody   = generationAt + generationSize + 8 + challengeRandom
)

// cover makes the generation in the body of a challenge unreadable, and a
// second time readable again. Whoever names a session may have a challenge, and
// is not to learn from it whether its owner renews.
func (s sealer) cover(body []byte) {
	generation := body[generationAt : generationAt+generationSize]
	rest := slices.Concat(body[:generationAt], body[generationAt+generationSize:])
	subtle.XORBytes(generation, generation, s.tag(covering, rest)[:generationSize])
}

// Challenge returns the text of a challenge: 71 characters of base64url, no
// two alike.
func (i *Issuer) Challenge(c Challenge) string {
	body := make([]byte, 0, challengeBody+tagSize)
	body = append(append(body, byte(c.Purpose)), c.Session[:]...)
	body = binary.BigEndian.AppendUint32(body, c.Generation)
	body = binary.BigEndian.AppendUint64(body, uint64(c.Made.Unix()))
	var random [challengeRandom]byte
	rand.Read(random[:])
	body = append(body, random[:]...)
	i.keys[0].cover(body)
	return string(token.AppendBase64URL(nil, i.keys[0].seal(challenging, body)))
}

// ParseChallenge reads a challenge that can be answered now. The error is
// [ErrChallenge].
func (i *Issuer) ParseChallenge(text string, now time.Time) (c Challenge, err error) {
	body, by, ok := i.open(challenging, text, challengeBody)
	if !ok {
		return Challenge{}, ErrChallenge
	}
	by.cover(body)
	c.Purpose = Purpose(body[0])
	body = body[1+copy(c.Session[:], body[1:]):]
	c.Generation = binary.BigEndian.Uint32(body)
	c.Made = time.Unix(int64(binary.BigEndian.Uint64(body[4:])), 0)
	life := RegistrationLife
	if c.Purpose == Renewal {
		life = RenewalLife
	}
	if age := now.Sub(c.Made); age < -clockSkew || age >= life {
		return Challenge{}, ErrChallenge
	}
	return c, nil
}
