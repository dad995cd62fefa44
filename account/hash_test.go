package account_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/account"
)

const (
	salt = "AAECAwQFBgcICQoLDA0ODw"                      // the bytes 0 to 15
	tag  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" // the bytes 0 to 31
	good = "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + tag
)

// badHashes maps what is wrong to a hash that has only that fault.
var badHashes = map[string]string{
	"nothing":                   "",
	"argon2i":                   "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + tag,
	"argon2d":                   "$argon2d$v=19$m=19456,t=2,p=1$" + salt + "$" + tag,
	"bcrypt":                    "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
	"scrypt":                    "$scrypt$ln=17,r=8,p=1$" + salt + "$" + tag,
	"a disabled entry":          "!",
	"the redaction":             "[redacted]",
	"plain text":                "password",
	"upper case":                strings.Replace(good, "argon2id", "Argon2id", 1),
	"no version":                "$argon2id$m=19456,t=2,p=1$" + salt + "$" + tag,
	"version 16":                strings.Replace(good, "v=19", "v=16", 1),
	"a space before":            " " + good,
	"a line break after":        good + "\n",
	"a line break in the salt":  strings.Replace(good, "AAEC", "AA\nEC", 1),
	"a seventh part":            good + "$",
	"no tag":                    "$argon2id$v=19$m=19456,t=2,p=1$" + salt,
	"an empty tag":              "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
	"an empty salt":             "$argon2id$v=19$m=19456,t=2,p=1$$" + tag,
	"other order":               strings.Replace(good, "m=19456,t=2", "t=2,m=19456", 1),
	"a key id":                  strings.Replace(good, "p=1", "p=1,keyid=AAAA", 1),
	"no parallelism":            strings.Replace(good, ",p=1", "", 1),
	"a leading zero":            strings.Replace(good, "t=2", "t=02", 1),
	"a sign":                    strings.Replace(good, "t=2", "t=+2", 1),
	"a negative number":         strings.Replace(good, "t=2", "t=-2", 1),
	"a hexadecimal number":      strings.Replace(good, "t=2", "t=0x2", 1),
	"an underscore":             strings.Replace(good, "m=19456", "m=19_456", 1),
	"time 0":                    strings.Replace(good, "t=2", "t=0", 1),
	"time 11":                   strings.Replace(good, "t=2", "t=11", 1),
	"time beyond 32 bits":       strings.Replace(good, "t=2", "t=4294967298", 1),
	"parallelism 0":             strings.Replace(good, "p=1", "p=0", 1),
	"parallelism 17":            strings.Replace(good, "p=1", "p=17", 1),
	"parallelism beyond 8 bits": strings.Replace(good, "p=1", "p=257", 1),
	"memory 0":                  strings.Replace(good, "m=19456", "m=0", 1),
	"too little for two lanes":  strings.Replace(good, "m=19456,t=2,p=1", "m=15,t=2,p=2", 1),
	"memory above 256 MiB":      strings.Replace(good, "m=19456", "m=262145", 1),
	"all of memory":             strings.Replace(good, "m=19456", "m=4294967295", 1),
	"memory beyond 32 bits":     strings.Replace(good, "m=19456", "m=4294986752", 1),
	"a salt of 15 bytes":        strings.Replace(good, salt, "AAECAwQFBgcICQoLDA0O", 1),
	"a tag of 15 bytes":         strings.Replace(good, tag, "AAECAwQFBgcICQoLDA0O", 1),
	"a salt of 65 bytes":        strings.Replace(good, salt, strings.Repeat("AAAA", 21)+"AAA", 1),
	"padding":                   good + "=",
	"URL alphabet":              strings.Replace(good, "AAECAwQF", "AA-_AwQF", 1),
	"loose bits":                good[:len(good)-1] + "9",
	"beyond the size limit":     good + strings.Repeat("A", 300),
}

// Rows: 192
func TestHashRefusesWhatItWouldNotWrite(t *testing.T) {
	for what, text := range badHashes {
		params, err := account.Hash(text).Params()
		if !errors.Is(err, account.ErrHash) {
			t.Errorf("%s: got %v, %v; want ErrHash", what, params, err)
		}
		if err != nil && len(text) > 8 && strings.Contains(err.Error(), text[len(text)-8:]) {
			t.Errorf("%s: the error repeats the hash", what)
		}
	}
	if _, err := account.Hash(good).Params(); err != nil {
		t.Errorf("the hash that the others were made from: %v", err)
	}
}

func TestHashHoldsParameters(t *testing.T) {
	for _, want := range []account.Params{
		{Memory: 8, Time: 1, Parallelism: 1},
		{Memory: 19456, Time: 2, Parallelism: 1},
		{Memory: 65536, Time: 3, Parallelism: 4},
		{Memory: 262144, Time: 10, Parallelism: 16},
	} {
		hash := account.Compose(want, make([]byte, 16), make([]byte, 32))
		if got, err := hash.Params(); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestHashEncodesCanonically(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := rapid.Uint8Range(1, 16).Draw(t, "parallelism")
		params := account.Params{
			Memory:      rapid.Uint32Range(8*uint32(lanes), 262144).Draw(t, "memory"),
			Time:        rapid.Uint32Range(1, 10).Draw(t, "time"),
			Parallelism: lanes,
		}
		hash := account.Compose(params, rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "salt"), rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "tag"))
		got, err := hash.Params()
		if err != nil || got != params {
			t.Fatalf("%s: got %+v, %v", string(hash), got, err)
		}
		if again, err := account.Reencode(hash); err != nil || string(again) != string(hash) {
			t.Fatalf("%s became %s, %v", string(hash), string(again), err)
		}
	})
}

func FuzzHashDecodesCanonically(f *testing.F) {
	f.Add(good)
	f.Add(strings.Replace(good, "m=19456,t=2,p=1", "m=65536,t=3,p=4", 1))
	for _, text := range badHashes {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		again, err := account.Reencode(account.Hash(text))
		if err != nil {
			if !errors.Is(err, account.ErrHash) {
				t.Fatalf("%q: %v is not ErrHash", text, err)
			}
			return
		}
		if string(again) != text {
			t.Fatalf("%q was accepted and became %q", text, string(again))
		}
		params, err := account.Hash(text).Params()
		if err != nil || params.Memory > 262144 || params.Time > 10 || params.Parallelism > 16 ||
			params.Time < 1 || params.Parallelism < 1 || params.Memory < 8*uint32(params.Parallelism) {
			t.Fatalf("%q was accepted with %+v, %v", text, params, err)
		}
	})
}

// The example of another implementation (argon2-cffi): same algorithm, same text form.
func TestVerifyAcceptsAnotherImplementation(t *testing.T) {
	const foreign = "$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg"
	hasher := mustHasher(t, account.DefaultParams(), 1, time.Second)
	for password, want := range map[string]bool{"correct horse battery staple": true, "correct horse battery staplf": false} {
		if got, err := hasher.Verify(t.Context(), foreign, account.NewPassword(password)); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", password, got, err, want)
		}
	}
}

// A single wrong byte anywhere in the tag is a wrong password, and the salt takes part.
//
// Rows: 193, A100
func TestVerifyComparesTheWholeTag(t *testing.T) {
	hasher := weakHasher(t)
	password := account.NewPassword("correct horse")
	params, zero := account.DangerouslyWeakParamsForTests(), make([]byte, 32)
	right, err := hasher.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(right), "$")
	saltBytes, tagBytes := decode(t, parts[4]), decode(t, parts[5])
	if bytes.Equal(tagBytes, zero) || len(tagBytes) != 32 || len(saltBytes) != 16 {
		t.Fatalf("salt of %d bytes, tag of %d", len(saltBytes), len(tagBytes))
	}
	verify := func(salt, tag []byte) bool {
		got, err := hasher.Verify(t.Context(), account.Compose(params, salt, tag), password)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if !verify(saltBytes, tagBytes) {
		t.Error("the right password is refused")
	}
	for i := range tagBytes {
		wrong := slices.Clone(tagBytes)
		wrong[i] ^= 1
		if verify(saltBytes, wrong) {
			t.Errorf("byte %d of the tag does not count", i)
		}
	}
	for i := range saltBytes {
		wrong := slices.Clone(saltBytes)
		wrong[i] ^= 1
		if verify(wrong, tagBytes) {
			t.Errorf("byte %d of the salt does not count", i)
		}
	}
	if verify(saltBytes, tagBytes[:16]) {
		t.Error("half of the tag is enough")
	}
}
