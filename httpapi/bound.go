package httpapi

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// A DeviceBinding says what becomes of browsers that can bind a session to a
// key of their device (package dbsc), and of those that cannot.
type DeviceBinding string

// The ways. Over plain http nothing is offered: browsers would not listen.
const (
	BindingOff   DeviceBinding = "off"   // nothing is offered
	BindingOffer DeviceBinding = "offer" // whoever can, does
	// BindingRequire refuses what needs a recent login to a session in cookies
	// that is not bound.
	BindingRequire DeviceBinding = "require"
	// BindingRequireAll refuses such a session the application as well; the guard
	// has RequireBound.
	BindingRequireAll DeviceBinding = "require-all"
)

// Valid reports whether it is one of the ways.
func (d DeviceBinding) Valid() bool {
	return d == BindingOff || d == BindingOffer || d.Requires()
}

// Requires reports whether anything is refused to a session that is not bound.
func (d DeviceBinding) Requires() bool { return d == BindingRequire || d == BindingRequireAll }

var (
	errProof     = errors.New("httpapi: the device is not proved")
	errChallenge = errors.New("httpapi: the device must answer a challenge")
	errProofRate = errors.New("httpapi: too many renewals of one device")
	errSkipped   = errors.New("httpapi: the browser could not renew the session")
)

// usedChallenges remembers the challenges that were answered at this node. That
// a session turned uses up what was outstanding, everywhere; until then, and
// where a renewal is answered without a turn, this does.
type usedChallenges struct {
	seen *otter.Cache[[sha256.Size]byte, struct{}]
}

// maxUsedChallenges bounds what is remembered. Only good proofs get in.
const maxUsedChallenges = 1 << 16

func newUsedChallenges() (usedChallenges, error) {
	seen, err := otter.New(&otter.Options[[sha256.Size]byte, struct{}]{
		MaximumSize: maxUsedChallenges, ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, struct{}](dbsc.RenewalLife),
	})
	return usedChallenges{seen}, err
}

// oldJarLife is for how long a challenge is good that is answered with cookies
// from before it was made. An old jar is taken but once a day, and must not be
// taken for somebody who captured a proof that another node answered: a device
// that comes back asks for a challenge first.
const oldJarLife = time.Minute

// use reports whether a challenge was not used before.
func (u usedChallenges) use(challenge string) bool {
	_, fresh := u.seen.SetIfAbsent(sha256.Sum256([]byte(challenge)), struct{}{})
	return fresh
}

func (a *API) registerPath() string { return a.Prefix + "/dbsc/register" }
func (a *API) devicePath() string   { return a.Prefix + "/dbsc/refresh" }

// offerBinding asks the browser that has just signed in to bind the session.
// What it answers is tied to this login by the challenge. A script that reads
// the answer to its own request, and a service worker that reads any, learn the
// challenge, but not the cookies, so they must come along wherever a browser
// sends them.
func (a *API) offerBinding(w http.ResponseWriter, r *http.Request, issued *session.Issued) {
	if a.DBSC == nil || a.DeviceBinding == BindingOff || issued.Row.Transport != session.Cookie || !a.Guard.Proxies.HTTPS(r) {
		return
	}
	purpose := dbsc.Registration
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		purpose = dbsc.RegistrationAlone
	}
	w.Header().Set(dbsc.RegistrationHeader, dbsc.Offer(a.registerPath(), a.DBSC.Challenge(dbsc.Challenge{
		Purpose: purpose, Session: issued.Row.ID, Generation: issued.Row.Generation, Made: a.Guard.Now()})))
}

// register binds the session of a login to the key that the browser has made.
// Whatever is refused, the login stays as it is.
func (a *API) register(w http.ResponseWriter, r *http.Request) error {
	if a.DBSC == nil || a.DeviceBinding == BindingOff {
		return errNotFound
	}
	// A script cannot send the proof under this mode (Fetch §2.2.6), so no
	// script makes a key of its own the session's.
	if r.Header.Get("Sec-Fetch-Mode") != "no-cors" {
		return errDestination
	}
	key, text, err := dbsc.Register(r.Header.Get(dbsc.ResponseHeader))
	if err != nil {
		return a.refuseProof(r, session.ID{}, err)
	}
	challenge, err := a.DBSC.ParseChallenge(text, a.Guard.Now())
	if err != nil || challenge.Purpose == dbsc.Renewal {
		return a.refuseProof(r, session.ID{}, dbsc.ErrChallenge)
	}
	if challenge.Purpose == dbsc.Registration {
		if carries, err := a.carriesSession(r, challenge.Session); err != nil {
			return err
		} else if !carries {
			return a.refuseProof(r, challenge.Session, httpauth.ErrNoCredential)
		}
	}
	issued, err := a.Engine.Bind(r.Context(), challenge.Session, key.Thumbprint(), a.Guard.Proxies.Origin(r))
	if err != nil {
		return err
	}
	return a.instruct(w, r, dbsc.Identifier{Session: challenge.Session, Key: key}, &issued)
}

// carriesSession reports whether the request carries a good access token of the
// session in its cookie. An error says that this node cannot tell now.
func (a *API) carriesSession(r *http.Request, id session.ID) (bool, error) {
	cookies := httpauth.Cookies(r, httpauth.AccessCookie)
	if len(cookies) != 1 {
		return false, nil
	}
	p, err := a.Guard.Verifier.VerifyBound(cookies[0], a.Guard.Now())
	if errors.Is(err, verify.ErrStale) {
		return false, err
	}
	return err == nil && p.Session == id, nil
}

// instruct answers a proof that is good: with the cookies, with what the
// browser is to do, and with the challenge for its next renewal, which is one
// request then.
func (a *API) instruct(w http.ResponseWriter, r *http.Request, id dbsc.Identifier, issued *session.Issued) error {
	lines, err := a.boundCookies(r, issued)
	if err != nil {
		return err
	}
	name := a.DBSC.Identifier(id)
	body, err := dbsc.Instructions(name, a.devicePath(), httpauth.BoundCookie, boundAttributes())
	if err != nil {
		return err
	}
	setCookies(w, lines)
	a.askDevice(w, name, &issued.Row)
	return writeJSON(w, body)
}

func (a *API) askDevice(w http.ResponseWriter, name string, row *session.Row) {
	w.Header().Set(dbsc.ChallengeHeader, dbsc.Ask(name, a.DBSC.Challenge(dbsc.Challenge{
		Purpose: dbsc.Renewal, Session: row.ID, Generation: row.Generation, Made: a.Guard.Now()})))
}

// renewDevice renews a session that is bound to a device, by its proof. A
// browser forgets the session if the answer is 401, or says that it is over; it
// keeps it at 403 with a challenge, and at 503. Whatever is refused to somebody
// changes nothing for the owner.
func (a *API) renewDevice(w http.ResponseWriter, r *http.Request) error {
	if a.DBSC == nil {
		return errNotFound
	}
	id, err := a.DBSC.ParseIdentifier(r.Header.Get(dbsc.IdentifierHeader))
	if err != nil {
		return a.refuseProof(r, session.ID{}, err)
	}
	jar, ok := a.jar(r, id.Session)
	if !ok {
		// Signed out here, or signed in anew: the browser is to forget this one.
		return a.refuseProof(r, id.Session, httpauth.ErrNoCredential)
	}
	proof := r.Header.Get(dbsc.ResponseHeader)
	if proof == "" {
		return a.challengeStranger(w, r, id)
	}
	text, err := id.Key.Verify(proof)
	if err != nil {
		return a.refuseProof(r, id.Session, err)
	}
	challenge, err := a.DBSC.ParseChallenge(text, a.Guard.Now())
	if err != nil || challenge.Purpose != dbsc.Renewal || challenge.Session != id.Session || !a.used.use(text) {
		// A proof has no time of its own: whoever captured one has it for ever.
		return a.challengeStranger(w, r, id)
	}
	if jar.Generation < challenge.Generation && a.Guard.Now().Sub(challenge.Made) > oldJarLife {
		return a.challengeStranger(w, r, id)
	}
	if err := a.limitDevice(r, id.Session, ""); err != nil {
		return err
	}
	if jar.Generation > challenge.Generation {
		if err := a.genuine(jar.raw); errors.Is(err, verify.ErrStale) {
			return err
		} else if err != nil {
			return a.refuseProof(r, id.Session, verify.ErrSignature)
		}
	}
	issued, err := a.Engine.Refresh(r.Context(), session.Renewal{
		Transport: session.Cookie, Thumbprint: id.Key.Thumbprint(), Origin: a.Guard.Proxies.Origin(r),
		Device: &session.Device{Session: id.Session, Generation: jar.Generation, Challenge: challenge.Generation},
	})
	if err != nil {
		return a.refuseDevice(w, r, id, err)
	}
	a.noteContext(r, &issued.Row)
	return a.instruct(w, r, id, &issued)
}

// refuseDevice answers a good proof that renews nothing.
func (a *API) refuseDevice(w http.ResponseWriter, r *http.Request, id dbsc.Identifier, err error) error {
	refusal, refused := errors.AsType[*session.Refusal](err)
	switch {
	case !refused:
		return err
	case refusal.Reason == session.ReasonChallenge:
		return a.challengeDevice(w, r, id)
	case refusal.Ended:
		return a.overForDevice(w, id)
	}
	switch refusal.Reason {
	case session.ReasonEnded, session.ReasonExpired, session.ReasonIdle, session.ReasonUnknown:
		return a.overForDevice(w, id)
	}
	return err
}

// challengeStranger is [API.challengeDevice] for who has not proved that the
// device is there now. That is counted by network.
func (a *API) challengeStranger(w http.ResponseWriter, r *http.Request, id dbsc.Identifier) error {
	if err := a.limitDevice(r, id.Session, a.Guard.Proxies.Origin(r).Address); err != nil {
		return err
	}
	return a.challengeDevice(w, r, id)
}

// challengeDevice asks for a proof, or says that the session is over.
func (a *API) challengeDevice(w http.ResponseWriter, r *http.Request, id dbsc.Identifier) error {
	row, now, err := a.Engine.Get(r.Context(), id.Session)
	switch {
	case errors.Is(err, session.ErrRefused):
		return a.overForDevice(w, id)
	case err != nil:
		return err
	case !row.Live(now):
		return a.overForDevice(w, id)
	}
	a.askDevice(w, a.DBSC.Identifier(id), &row)
	return errChallenge
}

func (a *API) overForDevice(w http.ResponseWriter, id dbsc.Identifier) error {
	body, err := dbsc.Over(a.DBSC.Identifier(id))
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// A jar is what the access cookie says of the cookies that the browser has. It
// is read without verifying: its key may be long retired. That matters to
// nobody but whoever proved the device. Who has copied the key may lie about
// the generation, and is no better off than if he had copied the newest
// cookies; only a generation that the store does not know must be genuine.
type jar struct {
	token.Claims
	raw string
}

// jar returns that of a session; false: the browser has no cookie of it.
func (a *API) jar(r *http.Request, id session.ID) (jar, bool) {
	cookies := httpauth.Cookies(r, httpauth.AccessCookie)
	if len(cookies) > 1 {
		a.Guard.RecordDuplicate(r, httpauth.AccessCookie)
	}
	if len(cookies) != 1 {
		return jar{}, false
	}
	parts, err := token.SplitAccess(cookies[0])
	if err != nil {
		return jar{}, false
	}
	claims, err := token.DecodeClaims(parts.Payload)
	return jar{claims, cookies[0]}, err == nil && claims.Session == id && claims.Generation > 0
}

// genuine returns nil if an access token was made here, whatever became of it.
// [verify.ErrStale] says that this node cannot tell now.
func (a *API) genuine(raw string) error {
	_, err := a.Guard.Verifier.VerifyBound(raw, a.Guard.Now())
	if errors.Is(err, verify.ErrExpired) || errors.Is(err, verify.ErrRevoked) {
		return nil
	}
	return err
}

// limitDevice is [API.limitRenewal] for devices. For the session itself count
// the proofs of challenges that were not used before; all else is counted apart,
// by network. The answer is 503: at 429 Chromium would forget the session.
func (a *API) limitDevice(r *http.Request, id session.ID, network string) error {
	if a.renewals.allow(claim{session: id, transport: "device", network: network}, a.Guard.Now()) {
		return nil
	}
	a.Engine.Record(session.Event{Type: session.EventRateLimited, Reason: "device", Session: a.Engine.Pseudonym(id), Origin: a.Guard.Proxies.Origin(r)})
	return errProofRate
}

// refuseProof records why a proof is none, and returns what to answer.
func (a *API) refuseProof(r *http.Request, id session.ID, why error) error {
	reason := "identifier"
	wrong, isProof := errors.AsType[*dbsc.ProofError](why)
	switch {
	case isProof:
		reason = wrong.Reason
	case errors.Is(why, dbsc.ErrChallenge):
		reason = "challenge"
	case errors.Is(why, httpauth.ErrNoCredential), errors.Is(why, verify.ErrSignature):
		reason = "cookies"
	}
	from := a.Guard.Proxies.Origin(r)
	e := session.Event{Type: session.EventProofRefused, Reason: reason, Origin: from}
	// Anybody can send these, with an identifier of his own.
	if a.strangers.reached(from.Address, a.Guard.Now()) {
		return errProof
	}
	a.strangers.count(from.Address, a.Guard.Now())
	if !id.IsZero() {
		e.Session = a.Engine.Pseudonym(id)
	}
	a.Engine.Record(e)
	return errProof
}

// byDevice is for the request to renew a session that its browser renews by
// itself: by the time it comes, it has. It returns who asks, or the error of
// the renewal; and one that says to come again, if the browser says that it
// could not renew.
func (a *API) byDevice(r *http.Request, failed error) (*verify.Principal, *session.Row, error) {
	cookies := httpauth.Cookies(r, httpauth.AccessCookie)
	if !errors.Is(failed, httpauth.ErrNoCredential) && !errors.Is(failed, session.ErrRefused) || len(cookies) != 1 {
		return nil, nil, failed
	}
	if a.couldNotRenew(r) {
		return nil, nil, errSkipped
	}
	p, err := a.Guard.Verifier.VerifyBound(cookies[0], a.Guard.Now())
	if err != nil {
		return nil, nil, failed
	}
	row, _, err := a.Engine.Get(r.Context(), p.Session)
	if err != nil || row.Ended() || row.Binding.Kind != session.DBSC {
		return nil, nil, cmp.Or(err, failed)
	}
	return p, &row, nil
}

// couldNotRenew reports whether a browser says so, and has an access token that
// was good.
func (a *API) couldNotRenew(r *http.Request) bool {
	cookies := httpauth.Cookies(r, httpauth.AccessCookie)
	if len(r.Header[dbsc.SkippedHeader]) == 0 || len(cookies) != 1 {
		return false
	}
	_, err := a.Guard.Verifier.VerifyBound(cookies[0], a.Guard.Now())
	return errors.Is(err, verify.ErrExpired)
}

// lifeLeft is for how long an access token is good, in whole seconds, at least
// one.
func lifeLeft(issued *session.Issued) int {
	return max(1, int(issued.Expires.Sub(issued.Now)/time.Second))
}
