package token_test

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/token"
)

var update = flag.Bool("update", false, "write the vector files again instead of comparing with them")

// The files of ../vectors, which every implementation of the formats reads.
type (
	base64Vector struct {
		Text   string  `json:"text"`
		Hex    *string `json:"hex,omitzero"`    // absent when refused
		Reason string  `json:"reason,omitzero"` // why it is refused
	}
	claimsVector struct {
		Name    string         `json:"name"`
		Payload string         `json:"payload"`         // base64url
		Claims  jsontext.Value `json:"claims,omitzero"` // what is read; absent when refused
	}
	refreshVectors struct {
		KeyID  string          `json:"key_id"`    // hex, as all bytes in this file
		Outer  string          `json:"outer_key"` // HMAC-SHA-256 key of the outer tag
		Inner  string          `json:"inner_key"` // HKDF-SHA-256 input of the inner tag's key, extracted with the session's salt
		Tokens []refreshVector `json:"tokens"`
	}
	refreshVector struct {
		Name       string `json:"name"`
		Token      string `json:"token"`
		Opens      bool   `json:"opens"`            // the outer tag and the form are good
		Genuine    bool   `json:"genuine,omitzero"` // the inner tag is good for the salt
		Session    string `json:"session,omitzero"`
		Generation uint32 `json:"generation,omitzero"`
		Salt       string `json:"salt,omitzero"`
	}
)

// loadVectors reads a file of ../vectors, after writing it if asked to.
func loadVectors[T any](t testing.TB, name string, generate func() T) T {
	t.Helper()
	path := filepath.Join("..", "vectors", name)
	want, err := json.Marshal(generate(), jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Fatalf("%s is not what this test generates; run go test -update (-want +got):\n%s", path, diff)
	}
	var out T
	if err := json.Unmarshal(got, &out, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// both fails the test if there is not at least one good and one bad vector.
func both(t testing.TB, good, bad int) {
	t.Helper()
	if good == 0 || bad == 0 {
		t.Fatalf("%d good and %d bad vectors; a set that lacks either proves nothing", good, bad)
	}
}

func base64Vectors() []base64Vector {
	var out []base64Vector
	for _, b := range []string{"", "00", "ff", "fb", "0000", "ffff", "000000", "ffffff", "fbefbe", "00112233445566778899aabbccddeeff", "14fb9c03d97e"} {
		raw, err := hex.DecodeString(b)
		if err != nil {
			panic(err)
		}
		out = append(out, base64Vector{Text: string(token.AppendBase64URL(nil, raw)), Hex: &b})
	}
	for _, v := range [][2]string{
		{"A", "a length of 1 modulo 4 encodes nothing"}, {"AAAAA", "a length of 1 modulo 4 encodes nothing"},
		{"AA==", "padding"}, {"AAA=", "padding"}, {"=", "padding"}, {"AA=A", "padding inside"},
		{"AB", "trailing bits"}, {"AP", "trailing bits"}, {"AAB", "trailing bits"}, {"__9", "trailing bits"},
		{"+/+/", "the alphabet of standard base64"}, {"AA+A", "the alphabet of standard base64"}, {"AA/A", "the alphabet of standard base64"},
		{"A\nAA", "LF inside"}, {"AA\r\n", "CR LF at the end"}, {"\nAAAA", "LF at the start"}, {"AA\rAA", "CR inside"},
		{" AAAA", "space"}, {"AAAA ", "space"}, {"AA\tAA", "tab"}, {"AA\u0000A", "NUL"},
		{"AA.A", "dot"}, {"AA%41", "percent encoding"}, {"АAAA", "Cyrillic letter"}, {"ＡAAA", "full-width letter"}, {"AAAA\ufeff", "byte order mark"},
	} {
		out = append(out, base64Vector{Text: v[0], Reason: v[1]})
	}
	return out
}

// Rows: 84, A56
func TestBase64URLVectors(t *testing.T) {
	good, bad := 0, 0
	for _, v := range loadVectors(t, "base64url.json", base64Vectors) {
		got, err := token.AppendDecodedBase64URL([]byte("kept"), v.Text)
		if v.Hex == nil {
			bad++
			if err == nil || string(got) != "kept" {
				t.Errorf("%q (%s): got %x, %v", v.Text, v.Reason, got, err)
			}
			continue
		}
		good++
		if err != nil || string(got[:4]) != "kept" || hex.EncodeToString(got[4:]) != *v.Hex {
			t.Errorf("%q: got %x, %v, want %s", v.Text, got, err, *v.Hex)
		}
		if again := string(token.AppendBase64URL(nil, got[4:])); again != v.Text {
			t.Errorf("%q: encodes to %q", v.Text, again)
		}
	}
	both(t, good, bad)
}

// An id that is the same on every run.
func idOf(b byte) (id token.ID) {
	for i := range id {
		id[i] = b + byte(i)
	}
	return id
}

func claimsVectors() []claimsVector {
	id, sid := idOf(1).String(), idOf(0x80).String()
	required := `"iss":"https://login.example","sub":"u1","aud":"https://api.example","client_id":"web","iat":1700000000,"exp":1700000300,"jti":"` +
		id + `","sid":"` + sid + `","gen":3,"auth_time":1699999000`
	full := `{` + required + `}`
	var out []claimsVector
	add := func(name, payload, claims string) {
		v := claimsVector{Name: name, Payload: string(token.AppendBase64URL(nil, []byte(payload)))}
		if claims != "" {
			v.Claims = jsontext.Value(claims)
		}
		out = append(out, v)
	}
	good := func(name, payload, claims string) { add(name, payload, claims) }
	good("required claims only", full, full)
	good("every claim", `{`+required+`,"nbf":1700000000,"amr":["pwd","otp"],"scope":"read write","cnf":{"jkt":"abc"}}`,
		`{`+required+`,"nbf":1700000000,"amr":["pwd","otp"],"scope":"read write","cnf":{"jkt":"abc"}}`)
	good("members in another order", `{"scope":"read",`+required+`}`, `{`+required+`,"scope":"read"}`)
	good("white space", " {\n\t"+required+"\r\n} ", full)
	good("escapes that are not needed", strings.Replace(full, `"iss"`, `"\u0069ss"`, 1), full)
	good("a member of the future", `{`+required+`,"may_act":{"sub":null,"n":[1.5,true]}}`, full)
	good("a member of the future within cnf", `{`+required+`,"cnf":{"jkt":"abc","x5t#S256":"q"}}`, `{`+required+`,"cnf":{"jkt":"abc"}}`)
	good("the word null in a string", strings.Replace(full, `"u1"`, `"null"`, 1), strings.Replace(full, `"u1"`, `"null"`, 1))
	good("the greatest generation", strings.Replace(full, `"gen":3`, `"gen":4294967295`, 1), strings.Replace(full, `"gen":3`, `"gen":4294967295`, 1))

	bad := func(name, payload string) { add(name, payload, "") }
	with := func(member string) string { return `{` + required + `,` + member + `}` }
	instead := func(old, new string) string {
		if !strings.Contains(full, old) {
			panic(old)
		}
		return strings.Replace(full, old, new, 1)
	}
	bad("nothing", "")
	bad("only white space", "  ")
	for name, text := range jsonOfOtherTypes() {
		bad("the whole is "+name, text)
	}
	bad("two objects", full+full)
	bad("trailing comma", `{`+required+`,}`)
	bad("trailing NUL", full+"\x00")
	bad("trailing bracket", full+"}")
	bad("cut off", full[:len(full)-1])
	bad("byte order mark", "\ufeff"+full)
	bad("comment", `{/**/`+required+`}`)
	bad("single quotes", strings.ReplaceAll(full, `"`, `'`))
	bad("invalid UTF-8 in a value", instead(`"u1"`, "\"\xff\""))
	bad("invalid UTF-8 in a name", with("\"\xc3\x28\":1"))
	bad("overlong UTF-8", instead(`"u1"`, "\"\xc0\xaf\""))
	bad("lone surrogate", instead(`"u1"`, `"\ud800"`))
	bad("lone surrogate in a member of the future", with(`"x":"\udfff"`))
	bad("control character in a string", instead(`"u1"`, "\"a\nb\""))
	bad("duplicate name", with(`"sub":"u2"`))
	bad("duplicate name with the same value", with(`"sub":"u1"`))
	bad("duplicate name by an escape", with(`"\u0073ub":"u2"`))
	bad("duplicate name of the future", with(`"x":1,"x":1`))
	bad("duplicate name below", with(`"x":{"y":{"z":1,"z":2}}`))
	bad("duplicate name in cnf", with(`"cnf":{"jkt":"a","jkt":"b"}`))
	for _, name := range []string{"ISS", "Iss", "SUB", "Aud", "Client_ID", "IAT", "NBF", "Exp", "JTI", "SID", "GEN", "Auth_Time", "AMR", "SCOPE", "Cnf"} {
		bad("another case: "+name, with(`"`+name+`":"x"`))
	}
	bad("fold of long s: \u017fub", with(`"`+"\u017f"+`ub":"u2"`))
	bad("fold of long s: i\u017f\u017f", with(`"i`+"\u017f\u017f"+`":"x"`))
	bad("fold of long s by an escape: \u017fid", with(`"\u017fid":"x"`))
	bad("fold within cnf: JKT", with(`"cnf":{"jkt":"a","JKT":"b"}`))
	bad("fold of the Kelvin sign within cnf", with(`"cnf":{"j`+"\u212a"+`t":"a"}`))

	for _, claim := range [][2]string{{`"iss":`, `"https://login.example"`}, {`"sub":`, `"u1"`}, {`"aud":`, `"https://api.example"`},
		{`"client_id":`, `"web"`}, {`"jti":`, `"` + id + `"`}, {`"sid":`, `"` + sid + `"`}} {
		for _, wrong := range []string{`1`, `true`, `null`, `["x"]`, `{"x":1}`} {
			bad("wrong type: "+claim[0]+wrong, instead(claim[0]+claim[1], claim[0]+wrong))
		}
	}
	for _, claim := range [][2]string{{`"iat":`, `1700000000`}, {`"exp":`, `1700000300`}, {`"gen":`, `3`}, {`"auth_time":`, `1699999000`}} {
		for _, wrong := range []string{`"1"`, `true`, `null`, `[1]`, `{}`, `1.0`, `1.5`, `1e3`, `1e400`, `-1e400`, `01`, `+1`, `0x1`, `.5`, `NaN`, `Infinity`,
			`9223372036854775808`, `-9223372036854775809`, `18446744073709551616`, `1` + strings.Repeat("0", 400)} {
			bad("wrong number: "+claim[0]+wrong[:min(len(wrong), 24)], instead(claim[0]+claim[1], claim[0]+wrong))
		}
	}
	bad("generation beyond 32 bits", instead(`"gen":3`, `"gen":4294967296`))
	bad("negative generation", instead(`"gen":3`, `"gen":-1`))
	for _, wrong := range []string{`"nbf":"1"`, `"nbf":1.5`, `"nbf":null`, `"amr":"pwd"`, `"amr":[1]`, `"amr":[null]`, `"amr":null`, `"amr":{}`,
		`"scope":["read"]`, `"scope":null`, `"cnf":"abc"`, `"cnf":["abc"]`, `"cnf":null`, `"cnf":{"jkt":1}`, `"cnf":{"jkt":null}`} {
		bad("wrong type: "+wrong, with(wrong))
	}
	for _, wrong := range []string{"", id[:21], id + "A", id[:21] + "B", id[:20] + "==", " " + id[:21], id[:11] + `\n` + id[12:], id[:21] + "+"} {
		bad("jti is no canonical id: "+wrong, instead(`"jti":"`+id+`"`, `"jti":"`+wrong+`"`))
	}
	return out
}

func jsonOfOtherTypes() func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, v := range [][2]string{{"null", `null`}, {"true", `true`}, {"a number", `1`}, {"a string", `"x"`}, {"an array", `[]`}, {"an array of objects", `[{}]`}} {
			if !yield(v[0], v[1]) {
				return
			}
		}
	}
}

// Rows: 85, 107, A54, A58
func TestClaimsVectors(t *testing.T) {
	good, bad := 0, 0
	for _, v := range loadVectors(t, "claims.json", claimsVectors) {
		got, err := token.DecodeClaims(v.Payload)
		if v.Claims == nil {
			bad++
			if err == nil {
				t.Errorf("%s: accepted as %+v", v.Name, got)
			}
			continue
		}
		good++
		var want token.Claims
		if err := json.Unmarshal(v.Claims, &want); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", v.Name, err, diff)
		}
	}
	both(t, good, bad)
}

// makeRefreshVectors writes the bad tokens with the independent encoder of
// this test, under the right keys: only their form is wrong.
func makeRefreshVectors() refreshVectors {
	out := refreshVectors{
		KeyID: hex.EncodeToString(vectorKey.ID[:]), Outer: hex.EncodeToString(vectorKey.Outer[:]), Inner: hex.EncodeToString(vectorKey.Inner[:]),
	}
	session, salt := idOf(0x30), saltOf(0xa0)
	sealed := func(generation uint64) parts {
		return partsOf(vectorKey, session, binary.AppendUvarint(nil, generation), salt)
	}
	for _, generation := range []uint32{1, 2, 127, 128, 16383, 16384, 1 << 21, 1 << 28, 1<<32 - 1} {
		out.Tokens = append(out.Tokens, refreshVector{
			Name: "good", Token: sealed(uint64(generation)).text(), Opens: true, Genuine: true,
			Session: session.String(), Generation: generation, Salt: hex.EncodeToString(salt[:]),
		})
	}
	add := func(name, text string) { out.Tokens = append(out.Tokens, refreshVector{Name: name, Token: text}) }
	other := partsOf(vectorKey, session, []byte{1}, saltOf(0xb0))
	out.Tokens = append(out.Tokens, refreshVector{
		Name: "made for another salt", Token: other.text(), Opens: true,
		Session: session.String(), Generation: 1, Salt: hex.EncodeToString(salt[:]),
	}, refreshVector{
		Name: "right, but the salt was erased", Token: sealed(1).text(), Opens: true,
		Session: session.String(), Generation: 1, Salt: hex.EncodeToString(make([]byte, 16)),
	})
	one := sealed(1).text()
	add("empty", "")
	add("prefix only", token.RefreshPrefix)
	add("without the prefix", strings.TrimPrefix(one, token.RefreshPrefix))
	add("prefix in capitals", strings.ToUpper(token.RefreshPrefix)+strings.TrimPrefix(one, token.RefreshPrefix))
	add("prefix twice", token.RefreshPrefix+one)
	add("padded", one+"=")
	add("LF at the end", one+"\n")
	add("CR inside", one[:20]+"\r"+one[20:])
	add("space before", " "+one)
	add("one character more", one+"A")
	add("four characters more", one+"AAAA")
	add("trailing bits", sealed(128).text()[:len(sealed(128).text())-1]+nextBits(sealed(128).text()))
	add("generation 0", sealed(0).text())
	add("generation 2^32", sealed(1<<32).text())
	add("generation 2^32 + 2^28", sealed(1<<32+1<<28).text())
	add("generation 2^63", sealed(1<<63).text())
	for _, v := range [][]byte{{0x81, 0x00}, {0x81, 0x80, 0x00}, {0x81, 0x80, 0x80, 0x80, 0x00}, {0x80}, {0x80, 0x80}, {0xff, 0xff, 0xff, 0xff, 0xff}, {1, 1}} {
		add("generation spelled "+hex.EncodeToString(v), partsOf(vectorKey, session, v, salt).text())
	}
	add("no generation", partsOf(vectorKey, session, nil, salt).text())
	for _, version := range []byte{0, 2, 255} {
		p := sealed(1)
		p.head[0] = version
		add("version "+hex.EncodeToString([]byte{version}), p.retag(vectorKey, salt).text())
	}
	stranger := vectorKey
	stranger.ID[0]++
	add("unknown key id", partsOf(stranger, session, []byte{1}, salt).text())
	swapped := vectorKey
	swapped.Outer, swapped.Inner = swapped.Inner, swapped.Outer
	add("the two keys exchanged", partsOf(swapped, session, []byte{1}, salt).text())
	p := sealed(1)
	p.outer, p.inner = [8]byte(p.inner[:8]), [16]byte(append(p.outer[:], p.inner[8:]...))
	add("the tags exchanged", p.text())
	p = sealed(1)
	p.outer = [8]byte{}
	add("no outer tag", p.text())
	return out
}

// Rows: 120, A43, A44
func TestRefreshVectors(t *testing.T) {
	file := loadVectors(t, "refresh.json", makeRefreshVectors)
	codec := token.NewRefreshCodec(vectorKey)
	good, bad := 0, 0
	for _, v := range file.Tokens {
		got, err := codec.Open(v.Token)
		if !v.Opens {
			bad++
			if err == nil {
				t.Errorf("%s: %q opens", v.Name, v.Token)
			}
			continue
		}
		good++
		var salt token.Salt
		if n, err := hex.Decode(salt[:], []byte(v.Salt)); err != nil || n != len(salt) {
			t.Fatalf("%s: salt %q", v.Name, v.Salt)
		}
		if err != nil || got.Session.String() != v.Session || got.Generation != v.Generation || got.Key != vectorKey.ID {
			t.Errorf("%s: %q: got session %v, generation %d, %v", v.Name, v.Token, got.Session, got.Generation, err)
			continue
		}
		if genuine := codec.Genuine(got, salt); genuine != v.Genuine {
			t.Errorf("%s: genuine is %t, want %t", v.Name, genuine, v.Genuine)
		}
		if !v.Genuine {
			continue
		}
		if again, err := codec.Seal(got.Key, got.Session, got.Generation, salt); err != nil || again.Reveal() != v.Token {
			t.Errorf("%s: seals to %q, %v, want %q", v.Name, again.Reveal(), err, v.Token)
		}
	}
	both(t, good, bad)
}
