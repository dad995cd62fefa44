package lab

// siblingAttacks are those of another host of the bank's own domain, which the
// thief has taken: to a browser it is the same site.
var siblingAttacks = []Attack{
	{Name: "sibling-posts", Title: "Sibling subdomain posts a form", Browser: true, run: siblingPosts,
		About: "The owner, signed in at app.bank, opens a page of blog.bank, which is in the thief's hands and posts a form to app.bank. It is the same site, so SameSite allows it."},
	{Name: "sibling-shadows", Title: "Sibling plants cookies (shadowing)", Browser: true, run: siblingShadows,
		About: "A page of the sibling sets the cookies of the thief's own session for the whole domain, with longer paths, so that they stand before the owner's."},
	{Name: "sibling-fixes", Title: "Sibling plants a session (fixation)", Browser: true, run: siblingFixes,
		About: "The thief gets what the bank gives to every visitor before the sign-in, and has the sibling plant it in the owner's browser. The owner signs in; the thief uses his own copy."},
	{Name: "sibling-overflows", Title: "Sibling overflows the cookie jar", Browser: true, run: siblingOverflows,
		About: "The jar's limit counts for the whole domain: a page of the sibling makes so many cookies that the bank's are dropped, and plants those of the thief's own session in their place."},
}

func siblingPosts(s *stage) Outcome { return s.postsFrom(s.sibling) }

// wide is what makes a cookie one of the whole domain.
func (s *stage) wide() string { return "; Domain=" + s.domain }

func siblingShadows(s *stage) Outcome {
	own := s.ownCookies()
	if len(own) == 0 {
		return notApplicable("The bank keeps nothing in cookies.")
	}
	var everywhere []planted
	for _, c := range own {
		for _, path := range []string{c.path, "/transfer", "/api", "/refresh", "/auth", "/auth/refresh"} {
			everywhere = append(everywhere, planted{c.name, c.value, path})
		}
	}
	s.did("The owner signs in.")
	tab := s.tab()
	tab.signIn(ada)
	s.did("The owner reads the sibling's blog, which plants the cookies of the thief.")
	tab.visit(s.page(s.sibling, "My blog"))
	tab.plants("", s.wide(), everywhere)
	return tab.swapped("The bank took the first cookie of the name, which is the thief's, and the owner acts in the thief's account.",
		"What the sibling can plant does not count, or stands behind the owner's own.")
}

func siblingFixes(s *stage) Outcome {
	s.did("The thief visits the bank without signing in, and keeps what he is given.")
	thief := s.device("thief")
	must(thief.ask("GET", "/", ""))
	var given []planted
	for name, c := range thief.jar {
		given = append(given, planted{name, c.value, c.path})
	}
	s.did("The owner, who is not signed in yet, reads the sibling's blog, which plants that.")
	tab := s.tab()
	tab.visit(s.page(s.sibling, "My blog"))
	tab.plants("", s.wide(), given)
	s.did("The owner signs in.")
	tab.signIn(ada)
	tab.see()
	s.did("The thief uses his own copy.")
	if s.whom(thief) == ada {
		return elsewhere("The bank kept the session id that came in with the sign-in, and the thief knows it.")
	}
	if len(given) == 0 {
		return refused("The bank gives visitors nothing that could live on after they sign in.")
	}
	return refused("What was there before the sign-in is worth nothing after it.")
}

func siblingOverflows(s *stage) Outcome {
	own := s.ownCookies()
	if len(own) == 0 {
		return notApplicable("The bank keeps nothing in cookies.")
	}
	s.did("The owner signs in.")
	tab := s.tab()
	tab.signIn(ada)
	s.did("The owner reads the sibling's blog, which overflows the jar and plants the cookies of the thief.")
	tab.visit(s.page(s.sibling, "My blog"))
	tab.plants(fill400, s.wide(), own)
	return tab.swapped("The jar dropped the owner's cookies, and the bank takes those that the sibling planted.",
		"The jar dropped the owner's cookies, and the sibling cannot make one that the bank takes: he has to sign in again.")
}
