package lab

// theftAttacks are those of a thief who has a copy of what the owner's machine
// holds.
var theftAttacks = []Attack{
	{Name: "logout", Title: "Token copied before the owner signs out", run: afterLogout,
		About: "The thief has a copy of all that the owner's browser holds. The owner signs out. The thief uses the copy."},
}

func afterLogout(s *stage) Outcome {
	s.did("The owner signs in; the thief copies what the owner's browser holds.")
	owner := s.signedIn("owner", ada)
	thief := owner.copyFor("thief")
	s.did("The owner signs out.")
	s.fail(s.build.signOut(owner))
	s.did("The thief uses the copy.")
	if s.whom(thief) == ada {
		return elsewhere("Signing out only threw the owner's own copy away.")
	}
	return refused("The session has ended where it is judged, so the copy is worth nothing.")
}
