package lab

import "time"

// theftAttacks are those of a thief who has a copy of what the owner's machine
// holds.
var theftAttacks = []Attack{
	{Name: "renew-before", Title: "Stolen refresh token, used before the owner each time", run: renewBefore,
		About: "The thief has a copy of all that the owner's browser holds. He renews shortly before the owner does, in every round, so that he always has the newest."},
	{Name: "renew-after", Title: "Stolen refresh token, used after the owner", run: renewAfter,
		About: "The thief has a copy of all that the owner's browser holds, and comes with it when the owner has long renewed."},
	{Name: "renew-behind", Title: "Stolen refresh token, one step behind for 20 rounds", run: renewBehind,
		About: "The thief renews after the owner in every round, always with the token before the newest, as long as he gets tokens for it."},
	{Name: "profile", Title: "Malware copies the whole browser profile's cookies", run: copyProfile,
		About: "Malware on the owner's machine copies the cookies of the browser's profile, with the storage that lies beside them, once, and not what is only in a page's memory. The thief uses the copy an hour later, and every hour, while the owner goes on."},
	{Name: "logout", Title: "Token copied before the owner signs out", run: afterLogout,
		About: "The thief has a copy of all that the owner's browser holds. The owner signs out. The thief uses the copy."},
}

// A duel is between two devices that hold the same tokens and both want to go
// on.
type duel struct {
	*stage
	owner, thief *device
	renewals     int // since the theft, of both
}

// newDuel has the owner sign in, and the thief copy what that brought.
func (s *stage) newDuel() *duel {
	s.did("The owner signs in; the thief copies all that the owner's browser holds.")
	owner := s.signedIn("owner", ada)
	return &duel{stage: s, owner: owner, thief: owner.copyFor("thief")}
}

// renew has one of them renew, and reports whether both are signed out now.
func (d *duel) renew(who *device) bool {
	d.renewals++
	d.renewed(who)
	return d.whom(d.owner) == "" && d.whom(d.thief) == ""
}

// pass lets time pass, and then the owner use what he holds.
func (d *duel) pass(by time.Duration) {
	b, ok := d.build.(dated)
	if !ok {
		return
	}
	d.fail(b.later(by, d.owner, d.thief))
	if d.whom(d.owner) == ada {
		d.fail(b.noticed(d.owner))
	}
}

// The times between renewals: a round is longer than a session of Pawl must
// keep still, and a lead is longer than what passes for the same attempt. Both
// are what a thief would choose.
const (
	round = 100 * time.Second
	lead  = 30 * time.Second
)

// ended is the outcome of a duel that the bank has stopped.
func (d *duel) ended() Outcome {
	return detected(d.renewals, "Two have the same token, which shows when both renew; the session has ended for both.")
}

// unended is that of one that it has not.
func (d *duel) unended() Outcome {
	if d.whom(d.thief) == ada {
		return elsewhere("The refresh token stays the same, so nobody can tell the owner's from a copy.")
	}
	return refused("The copy brought nothing, and the owner goes on.")
}

// withoutRenewal is why there is no duel.
const withoutRenewal = "Nothing is renewed: whoever has a copy has it for the session's life."

func renewBefore(s *stage) Outcome {
	if _, ok := s.build.(renewing); !ok {
		return notApplicable(withoutRenewal)
	}
	d := s.newDuel()
	for range 10 {
		d.pass(round)
		s.did("The thief renews, and uses what he got.")
		if d.renew(d.thief) {
			return d.ended()
		}
		d.pass(lead)
		s.did("The owner renews.")
		if d.renew(d.owner) {
			return d.ended()
		}
	}
	return d.unended()
}

func renewAfter(s *stage) Outcome {
	if _, ok := s.build.(renewing); !ok {
		return notApplicable(withoutRenewal)
	}
	d := s.newDuel()
	old := d.thief
	d.thief = d.owner.copyFor("thief") // what the time makes older is not what he uses
	for range 3 {
		d.pass(round)
		s.did("The owner renews.")
		d.renew(d.owner)
	}
	d.renewals = 0
	d.pass(round)
	s.did("The thief comes with his copy.")
	d.thief = old
	if d.renew(d.thief) {
		return d.ended()
	}
	return d.unended()
}

func renewBehind(s *stage) Outcome {
	if _, ok := s.build.(renewing); !ok {
		return notApplicable(withoutRenewal)
	}
	d := s.newDuel()
	for range 20 {
		d.pass(round)
		s.did("The owner renews, and uses what that brought.")
		if d.renew(d.owner) {
			return d.ended()
		}
		d.pass(round) // and the owner is seen to have what he renewed
		d.pass(lead)
		s.did("The thief renews with the token before that.")
		if d.renew(d.thief) {
			return d.ended()
		}
	}
	return d.unended()
}

// away is longer than the access life.
const away = time.Hour

func copyProfile(s *stage) Outcome {
	d := s.newDuel()
	if _, ok := s.build.(stowing); !ok {
		d.thief.access, d.thief.refresh = "", ""
	}
	if d.thief.access == "" && len(d.thief.jar) == 0 {
		return notApplicable("The profile holds nothing of it: both tokens are in the page's memory, which script can read, and malware that stays.")
	}
	for range 10 {
		if b, ok := s.build.(dated); ok {
			s.fail(b.later(away, d.owner, d.thief))
		}
		s.did("An hour later the thief renews, if there is anything to renew, and uses what he has.")
		d.renew(d.thief)
		d.pass(lead)
		s.did("The owner renews, and goes on.")
		if d.renew(d.owner) {
			return d.ended()
		}
	}
	if d.whom(d.thief) == ada {
		return elsewhere("The copy is as good as the original, and nothing tells the two apart.")
	}
	return refused("The copy has expired and cannot be renewed, and the owner goes on.")
}

func afterLogout(s *stage) Outcome {
	s.did("The owner signs in; the thief copies what the owner's browser holds.")
	owner := s.signedIn("owner", ada)
	thief := owner.copyFor("thief")
	s.did("The owner signs out.")
	s.fail(s.build.signOut(owner))
	s.did("The thief uses the copy.")
	if s.whom(thief) == ada || s.renewed(thief) {
		return elsewhere("Signing out only threw the owner's own copy away.")
	}
	return refused("The session has ended where it is judged, so the copy is worth nothing.")
}
