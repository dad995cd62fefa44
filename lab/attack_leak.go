package lab

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
)

// leakAttacks are those of a thief who reads what was never meant to hold a
// token.
var leakAttacks = []Attack{
	{Name: "database", Title: "Yesterday's copy of the database", run: databaseCopy,
		About: "The thief has a copy of the bank's database from the day before, but no keys that are kept elsewhere. He tries every value in it."},
	{Name: "log", Title: "Token in a URL, in the log of requests", Browser: true, run: requestLog,
		About: "The owner opens his statement from the bank's page. The thief reads the log of the web server and tries what is in it."},
	{Name: "referer", Title: "Token in the Referer", Browser: true, run: refererLeak,
		About: "The owner opens his statement, on which there is a picture from a host of the thief. The thief tries what came with the request for it."},
	{Name: "cache", Title: "Token in a cached page", Browser: true, run: cachedPage,
		About: "The owner is led to an address of the bank that looks like a style sheet's, so that the cache before the bank keeps the answer. The thief asks for the same address."},
}

func databaseCopy(s *stage) Outcome {
	s.did("The owner signs in.")
	owner := s.signedIn("owner", ada)
	b, ok := s.build.(stored)
	if !ok {
		return refused("No token is in the database: the server keeps none.")
	}
	s.did("A copy of the database is made. A day goes by, and the owner comes back.")
	values := must(b.copied())
	if dated, ok := s.build.(dated); ok {
		s.fail(dated.later(24*time.Hour, owner))
		s.renewed(owner)
	}
	s.did("The thief tries all %d values of the copy, as they are and in the spellings that tokens have.", len(values))
	var spellings []string
	for _, v := range values {
		b64 := base64.RawURLEncoding.EncodeToString([]byte(v))
		spellings = append(spellings, v, b64, hex.EncodeToString([]byte(v)), "pawl_rt_"+v, "pawl_rt_"+b64)
	}
	if s.worksElsewhere(strings.Join(spellings, "\n")) {
		return elsewhere("The table has the tokens themselves.")
	}
	if s.whom(owner) != ada {
		return Outcome{Verdict: InPlace, Why: "The thief got nothing, but the owner was signed out by his tries."}
	}
	return refused("The database has only numbers and salts; a token needs a key that is not in it.")
}

// opensStatement has the owner sign in and open his statement.
func (s *stage) opensStatement() {
	s.did("The owner signs in.")
	tab := s.tab()
	tab.signIn(ada)
	s.did("The owner opens his statement.")
	tab.click("#statement")
	tab.await(`document.getElementById("owner")?.textContent === "ada" && document.readyState === "complete"`)
	tab.see()
}

func requestLog(s *stage) Outcome {
	s.opensStatement()
	s.did("The thief tries what is in the log of requests.")
	if s.worksElsewhere(s.bank.requestLog()) {
		return elsewhere("A link carries no header, so the token was put into the address.")
	}
	return refused("No address has a token in it.")
}

func refererLeak(s *stage) Outcome {
	s.bank.picture(s.stranger + "/picture.png")
	s.opensStatement()
	s.awaitLoot("https://")
	s.did("The thief tries what came with the request for his picture.")
	if s.worksElsewhere(s.looted()) {
		return elsewhere("The address with the token in it went along as the Referer.")
	}
	return refused("No address has a token in it.")
}

func cachedPage(s *stage) Outcome {
	s.did("The owner signs in.")
	s.bank.cached = make(map[string][]byte)
	tab := s.tab()
	tab.signIn(ada)
	s.did("The owner is led to an address that looks like a style sheet's.")
	tab.visit("/account/print.css")
	tab.see()
	s.did("The thief asks for the same address, and tries what is in the answer.")
	if s.worksElsewhere(string(must(s.device("thief").ask("GET", "/account/print.css", "")).body)) {
		return elsewhere("The token stands in the page, and nothing told the cache to forget that.")
	}
	return refused("No page has a token in it.")
}
