package keyring_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
)

// What a ring publishes is read back as the same set, by its bytes and by what
// it verifies.
//
// Rows: 187, 188
func TestParseSetReadsWhatARingPublishes(t *testing.T) {
	r, _ := mixedRing(t)
	set, err := keyring.ParseSet(r.Set().Document(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(set.Document()) != string(r.Set().Document()) || set.Len() != 3 {
		t.Errorf("read as %s", set.Document())
	}
	raw := access(t, r.Signer())
	parts, err := token.SplitAccess(raw)
	if err != nil {
		t.Fatal(err)
	}
	key := set.Lookup(parts.Header)
	signature, err := token.AppendDecodedBase64URL(nil, parts.Signature)
	if err != nil || key == nil {
		t.Fatalf("key %v, %v", key, err)
	}
	signed := parts.Header + "." + parts.Payload
	if !key.Verify([]byte(signed), signature) || key.Verify([]byte(signed+"A"), signature) {
		t.Error("the key that was read verifies something else")
	}
}

// The keys of the public vectors are such a set.
func TestParseSetReadsTheVectors(t *testing.T) {
	text, err := os.ReadFile("../vectors/access.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Keys jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if set, err := keyring.ParseSet(file.Keys, nil); err != nil || set.Len() < 2 {
		t.Errorf("%v, %v", set, err)
	}
}

// members returns a ring's document as something to spoil.
func members(t testing.TB, r *keyring.Ring) []map[string]any {
	t.Helper()
	var document struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(r.Set().Document(), &document); err != nil {
		t.Fatal(err)
	}
	return document.Keys
}

func documentOf(t testing.TB, keys []map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func headerText(text string) string { return string(token.AppendBase64URL(nil, []byte(text))) }

// Rows: 187, 188, A64, A65
func TestParseSetRefuses(t *testing.T) {
	r, _ := mixedRing(t)
	of := func(alg string) func(k map[string]any) bool {
		return func(k map[string]any) bool { return k["alg"] == alg }
	}
	for name, tt := range map[string]struct {
		alg   string
		spoil func(k map[string]any)
	}{
		"a private Ed25519 key": {"EdDSA", func(k map[string]any) { k["d"] = k["x"] }},
		"a private RSA prime":   {"RS256", func(k map[string]any) { k["p"] = "AQ" }},
		"a symmetric member":    {"ES256", func(k map[string]any) { k["k"] = "AQ" }},
		"another use":           {"EdDSA", func(k map[string]any) { k["use"] = "enc" }},
		"no use":                {"EdDSA", func(k map[string]any) { delete(k, "use") }},
		"no id":                 {"EdDSA", func(k map[string]any) { k["kid"] = "" }},
		"the id of another":     {"EdDSA", func(k map[string]any) { k["kid"] = "0123456789abcdef" }},
		"a long id":             {"EdDSA", func(k map[string]any) { k["kid"] = strings.Repeat("a", 65) }},
		"no header":             {"EdDSA", func(k map[string]any) { delete(k, "pawl_header") }},
		"a header that is none": {"EdDSA", func(k map[string]any) { k["pawl_header"] = "###" }},
		"a header of nothing":   {"EdDSA", func(k map[string]any) { k["pawl_header"] = headerText("null") }},
		"a header that says none": {"EdDSA", func(k map[string]any) {
			k["pawl_header"] = headerText(`{"alg":"none","typ":"at+jwt","kid":"` + k["kid"].(string) + `"}`)
		}},
		"a header of an id tok.": {"EdDSA", func(k map[string]any) {
			k["pawl_header"] = headerText(`{"alg":"EdDSA","typ":"JWT","kid":"` + k["kid"].(string) + `"}`)
		}},
		"a critical header": {"EdDSA", func(k map[string]any) {
			k["pawl_header"] = headerText(`{"alg":"EdDSA","typ":"at+jwt","crit":["b64"],"b64":false,"kid":"` + k["kid"].(string) + `"}`)
		}},
		"a short key":            {"EdDSA", func(k map[string]any) { k["x"] = k["x"].(string)[:40] }},
		"padding":                {"EdDSA", func(k map[string]any) { k["x"] = k["x"].(string) + "=" }},
		"another curve":          {"EdDSA", func(k map[string]any) { k["crv"] = "X25519" }},
		"a point off the curve":  {"ES256", func(k map[string]any) { k["y"] = k["x"] }},
		"a short coordinate":     {"ES256", func(k map[string]any) { k["x"] = k["x"].(string)[:40] }},
		"P-384":                  {"ES256", func(k map[string]any) { k["crv"] = "P-384" }},
		"a small modulus":        {"RS256", func(k map[string]any) { k["n"] = k["n"].(string)[:340] }},
		"a huge modulus":         {"RS256", func(k map[string]any) { k["n"] = strings.Repeat("_", 4097) }},
		"the exponent 3":         {"RS256", func(k map[string]any) { k["e"] = "Aw" }},
		"an enormous exponent":   {"RS256", func(k map[string]any) { k["e"] = strings.Repeat("_", 40) }},
		"a number for a text":    {"EdDSA", func(k map[string]any) { k["kid"] = 7 }},
		"null for a text":        {"EdDSA", func(k map[string]any) { k["x"] = nil }},
		"the wrong kind of list": {"EdDSA", func(k map[string]any) { k["x"] = []any{"AQ"} }},
	} {
		keys := members(t, r)
		tt.spoil(keys[slices.IndexFunc(keys, of(tt.alg))])
		if set, err := keyring.ParseSet(documentOf(t, keys), nil); !errors.Is(err, keyring.ErrKeySet) || set != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := string(r.Set().Document())
	keys := members(t, r)
	many := append(slices.Repeat([]map[string]any{{"kty": "AKP", "kid": "strange"}}, 64), keys[0])
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "<html>", "null": "null", "a list": "[]", "no keys": `{}`, "an empty set": `{"keys":[]}`, "null keys": `{"keys":null}`,
		"a name twice": `{"keys":[],` + good[1:], "more after it": good + good, "bad UTF-8": strings.Replace(good, "sig", "\xff", 1),
		"a key twice":   string(documentOf(t, append(keys, keys[0]))),
		"too many keys": string(documentOf(t, many)),
		"too long":      good + strings.Repeat(" ", keyring.MaxSetBytes),
		"cut off":       good[:len(good)-1],
		"only strange":  `{"keys":[{"kty":"AKP","alg":"ML-DSA-65","kid":"a","use":"sig"}]}`,
		"only HS256":    `{"keys":[{"kty":"oct","alg":"HS256","kid":"a","use":"sig"}]}`,
	} {
		if set, err := keyring.ParseSet([]byte(text), nil); !errors.Is(err, keyring.ErrKeySet) || set != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A newer issuer may publish more than this version knows (RFC 7517 §4, §5).
func TestParseSetPassesOverWhatIsNew(t *testing.T) {
	r, _ := mixedRing(t)
	keys := members(t, r)
	keys[0]["x5t#S256"] = "AQ"
	keys = append(keys, map[string]any{"kty": "AKP", "alg": "ML-DSA-65", "kid": "new", "use": "sig", "pub": "AQ"})
	text := documentOf(t, keys)
	text = append([]byte(`{"more":1,`), text[1:]...)
	if set, err := keyring.ParseSet(text, nil); err != nil || set.Len() != 3 {
		t.Errorf("%v, %v", set, err)
	}
}

// Whoever keeps the set is told what was not found, and only that.
func TestParseSetTellsWhatIsMissed(t *testing.T) {
	r, _ := mixedRing(t)
	var missed []string
	set, err := keyring.ParseSet(r.Set().Document(), func(header string) { missed = append(missed, header) })
	if err != nil {
		t.Fatal(err)
	}
	if set.Lookup(r.Signer().Header()) == nil || set.Lookup("strange") != nil || set.Lookup("") != nil {
		t.Error("found the wrong ones")
	}
	if !slices.Equal(missed, []string{"strange", ""}) {
		t.Errorf("told %q", missed)
	}
}

// Whatever is read writes a document that is read the same.
func FuzzParseSet(f *testing.F) {
	r := open(f, keyringtest.NewStore(newClock().Now), newMaster(f), options())
	f.Add(r.Set().Document())
	text, err := os.ReadFile("../vectors/access.json")
	if err != nil {
		f.Fatal(err)
	}
	var file struct {
		Keys jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(file.Keys))
	f.Add([]byte(`{"keys":[{"kty":"OKP","use":"sig","alg":"EdDSA","kid":"a","crv":"Ed25519","x":"","pawl_header":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := keyring.ParseSet(text, nil)
		if err != nil {
			if !errors.Is(err, keyring.ErrKeySet) || set != nil {
				t.Fatalf("%v, %v", set, err)
			}
			return
		}
		again, err := keyring.ParseSet(set.Document(), nil)
		if err != nil || string(again.Document()) != string(set.Document()) || again.Len() != set.Len() || set.Len() == 0 {
			t.Fatalf("%s is read as %v, %v", set.Document(), again, err)
		}
	})
}
