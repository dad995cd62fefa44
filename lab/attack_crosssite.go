package lab

// crossSiteAttacks are those of other sites, which the owner's browser shows
// while he is signed in at the bank.
var crossSiteAttacks = []Attack{
	{Name: "form-post", Title: "Stranger's form post", Browser: true, run: strangerPosts,
		About: "The owner, signed in at the bank, opens a page of a stranger, which posts a form to the bank."},
}

func strangerPosts(s *stage) Outcome { return s.postsFrom(s.stranger) }

// postsFrom has a page of an origin post the form by which the bank is told to
// pay.
func (s *stage) postsFrom(origin string) Outcome {
	s.did("The owner signs in.")
	tab := s.tab()
	tab.signIn(ada)
	s.did("The owner opens a page of %s, which posts a form.", origin)
	tab.visit(s.page(origin, `<form method="post" action="`+s.app+`/transfer"><input name="to" value="mallory"><button>Take your prize</button></form>`))
	tab.click("button")
	tab.await(scriptf(`location.origin === "%s" && document.readyState === "complete"`, s.app))
	tab.see()
	if s.bank.paid(ada, mallory) {
		return inPlace("The browser sent the cookie along, and the bank asked no more.")
	}
	return refused("The bank was not convinced that its own page had asked.")
}
