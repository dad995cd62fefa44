package account

import "time"

// The numbers of the throttle. "Failure" is every attempt that did not prove the password: attempts are counted before the password is
// hashed, and taken back if it was right or was not looked at.
var (
	// perPair holds for one account from one network. People who doubt which password it was try three or four; the sixth waits
	// 10 s, the tenth under 3 min. It is all that holds up who comes from a known network, so it ends at an hour: whoever shares
	// that network with the owner gets 5 guesses, then 24 a day in the end, and can keep the owner waiting there for an
	// hour at a time.
	perPair = &limit{free: 5, first: 10 * time.Second, doubles: 1, most: time.Hour, forgive: 24 * time.Hour, worst: 20}

	// perAccount holds for one account from all networks that it does not know, however many. 100 failures in a row are what NIST
	// SP 800-63B-4 §3.2.2 allows before a password must be disabled; that would let any stranger lock anybody out, so here the
	// hundredth closes for most of a day, which is after a week of guessing without a pause, and leaves one guess a day. After an hour of an attack it closes for 5 min, so that an owner on a new network still gets in.
	perAccount = &limit{free: 20, first: 10 * time.Second, doubles: 6, most: 24 * time.Hour, forgive: 24 * time.Hour, worst: 100}

	// perNetwork holds for one network on all accounts: the one who tries one password on each of them. An office or a mobile
	// carrier's gateway is one network too. Of its users those who get in take their failures back, so that what is
	// outstanding are the typing errors of a few minutes, and one more is forgiven every 5 min. Who only guesses gets
	// about 430 guesses on the first day, then 288 a day, over all accounts together.
	perNetwork = &limit{free: 50, first: time.Second, doubles: 10, most: 5 * time.Minute, forgive: 5 * time.Minute, worst: 140}

	// perSite holds for the /48 around an IPv6 network: that is what one customer of many providers has (RFC 6177 §2), so 65,536
	// networks may be one attacker. It may also be a pool of a mobile carrier, hence as much as four networks.
	perSite = perNetwork.times(4)

	// perShare bounds what one site adds to perAccount, and closes nothing itself. A network adds no more than perPair.free to it and a
	// site twice that, so that strangers are held up only where several attack: one attacker who stays for months keeps nobody out.
	perShare = &limit{free: 10, doubles: 1, forgive: 24 * time.Hour, worst: 20}

	// perAside holds for the passwords that are judged aside for one account that knows the network; see Attempt.aside. It is less than
	// perPair.free, since whoever guesses from a network that is held up has this many guesses for each account that is known there, and
	// then one a day.
	perAside = &limit{free: 3, first: 8 * time.Hour, doubles: 1, most: 24 * time.Hour, forgive: 24 * time.Hour, worst: 6}

	// perLogin holds for the logins to one account that succeed: each leaves a session that is kept for months, and a network that is
	// known. 60 at once are those of a household whose devices all sign in again, or of a program that signs in where it should renew;
	// from then on there is one a minute.
	perLogin = &limit{free: 60, first: time.Minute, doubles: 1, most: time.Minute, forgive: time.Minute, worst: 60}

	// perSignUp holds for the accounts that one network makes, and perSiteSignUp for those of a site: a class of 30 signs up at once,
	// later ones every few minutes. What was made is not taken back.
	perSignUp     = &limit{free: 30, first: 10 * time.Second, doubles: 4, most: 10 * time.Minute, forgive: 10 * time.Minute, worst: 60}
	perSiteSignUp = perSignUp.times(4)
)

const (
	// knownFor is how long a network stays known to an account after a login. It is longer than sessions live (90 days in the
	// default policy), so that who logs in again when one has ended is still known.
	knownFor = 100 * 24 * time.Hour
	// knownNetworks is how many networks one account knows at most; the oldest are forgotten. Somebody who travels stays in fewer.
	knownNetworks = 32
	// maxTallies is how many tallies are kept, those of known networks apart. One takes about 180 bytes in SQLite.
	maxTallies = 1 << 20
)

// An Attempt is what a login or a sign-up is counted under. A zero Account makes it a sign-up; a zero Site means that there is none.
type Attempt struct{ Account, Network, Site Tag }

// keys returns what the attempt is counted under, and the limit of each.
func (a Attempt) keys() (keys []TallyKey, limits []*limit) {
	add := func(l *limit, of, network Tag) { keys, limits = append(keys, TallyKey{of, network}), append(limits, l) }
	network, site := perSignUp, perSiteSignUp
	if a.Account != (Tag{}) {
		network, site = perNetwork, perSite
		add(perPair, a.Account, a.Network)
		add(perAccount, a.Account, Tag{})
		add(perAside, a.Account, a.Network.opposite())
		add(perLogin, a.Account, Tag{}.opposite())
		if a.Site != (Tag{}) {
			add(perShare, a.Account, a.Site)
		}
	}
	add(network, Tag{}, a.Network)
	if a.Site != (Tag{}) {
		add(site, Tag{}, a.Site)
	}
	return keys, limits
}

// Take is the step that judges an attempt and counts it: under its keys if it is let in, under none if it is not.
func (a Attempt) Take() Step { return a.step(take) }

// aside is Take, and where that says that networks hold the attempt up, it counts a guess that is judged aside: who proves the password
// of an account that knows the network gets in, and all others are answered as if nobody had looked. So strangers behind the same
// address, who have used up its limits, do not keep out those who have been in from there, and do not see who has been. It stores
// something in any case, which takes as long.
func (a Attempt) aside() Step { return a.step(aside) }

func (a Attempt) step(kind stepKind) Step {
	keys, limits := a.keys()
	return Step{Keys: keys, limits: limits, kind: kind}
}

// introduce is the step that makes the network known to the account.
func (a Attempt) introduce() Step {
	return Step{Keys: []TallyKey{{a.Account, a.Network}}, limits: []*limit{perPair}, kind: introduce}
}

// look is the step that changes nothing and reads what strangers did to the account.
func (a Attempt) look() Step {
	return Step{Keys: []TallyKey{{Account: a.Account}}, limits: []*limit{perAccount}, kind: look}
}
