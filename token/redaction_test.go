package token_test

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/token"
)

// printed returns whatever fmt, slog and two JSON libraries make of a value,
// by itself, by its address, and within other values.
func printed(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	within := []any{v, &v, []any{v}, map[string]any{"k": v}, struct{ V any }{v}, &struct{ V any }{v}}
	for _, w := range within {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%10.3s", "%-40v", "%T"} {
			fmt.Fprintf(&out, verb+"\n", w)
		}
		fmt.Fprintln(&out, w)
		fmt.Fprintln(&out, fmt.Errorf("wrapped: %v: %w", w, errors.New("cause")))
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			l := slog.New(h)
			l.Info("m", "k", w)
			l.With("k", w).WithGroup("g").Info("m", slog.Any("k", w), slog.Group("h", "k", w))
		}
		if text, err := stdjson.Marshal(w); err == nil {
			out.Write(text)
		} else {
			fmt.Fprintln(&out, err)
		}
		if text, err := json.Marshal(w); err == nil {
			out.Write(text)
		} else {
			fmt.Fprintln(&out, err)
		}
	}
	return out.String()
}

// spellings are the ways in which secret bytes could be read off a text.
func spellings(b []byte) []string {
	decimal := strings.Trim(fmt.Sprint(b), "[]")
	goSyntax := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}")
	return []string{
		string(b), fmt.Sprintf("%x", b), fmt.Sprintf("%X", b), fmt.Sprintf("% x", b), decimal, goSyntax,
		strings.ReplaceAll(decimal, " ", ","), string(token.AppendBase64URL(nil, b)),
		strings.Trim(fmt.Sprintf("%o", b), "[]"), strings.Trim(fmt.Sprintf("%b", b), "[]"), strings.Trim(fmt.Sprintf("%q", b), `"`),
	}
}

// Rows: 128, 238, 240, A92
func TestSecretsPrintAsRedacted(t *testing.T) {
	salt, key := saltOf(0x41), keyOf(0x61)
	codec := token.NewRefreshCodec(key)
	text := mustSeal(t, codec, key.ID, idOf(9), 5, salt)
	refresh, err := codec.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	body, err := token.AppendDecodedBase64URL(nil, strings.TrimPrefix(text, token.RefreshPrefix))
	if err != nil {
		t.Fatal(err)
	}
	tag := body[len(body)-16:]
	for name, tt := range map[string]struct {
		values []any
		secret []byte
	}{
		"Secret":           {[]any{token.Secret(text), []token.Secret{token.Secret(text)}, struct{ S token.Secret }{token.Secret(text)}}, []byte(text)},
		"Salt":             {[]any{salt, &salt, []token.Salt{salt}, struct{ S token.Salt }{salt}}, salt[:]},
		"RefreshKey outer": {[]any{key, &key, []token.RefreshKey{key}, struct{ K *token.RefreshKey }{&key}}, key.Outer[:]},
		"RefreshKey inner": {[]any{key, &key, []token.RefreshKey{key}, struct{ K *token.RefreshKey }{&key}}, key.Inner[:]},
		"Refresh":          {[]any{refresh, &refresh, []token.Refresh{refresh}, struct{ R token.Refresh }{refresh}}, tag},
		"codec outer":      {[]any{codec, *codec, []*token.RefreshCodec{codec}, struct{ c *token.RefreshCodec }{codec}, struct{ c token.RefreshCodec }{*codec}, struct{ C *token.RefreshCodec }{codec}}, key.Outer[:]},
		"codec inner":      {[]any{codec, *codec, []*token.RefreshCodec{codec}, struct{ c *token.RefreshCodec }{codec}, struct{ c token.RefreshCodec }{*codec}, struct{ C *token.RefreshCodec }{codec}}, key.Inner[:]},
	} {
		for _, v := range tt.values {
			out := printed(t, v)
			for _, spelling := range spellings(tt.secret) {
				if strings.Contains(out, spelling) {
					t.Errorf("%s: %T prints %q", name, v, spelling)
				}
			}
			if name != "Refresh" && !strings.HasPrefix(name, "codec") && !strings.Contains(out, "[redacted]") {
				t.Errorf("%s: %T never says that it is redacted", name, v)
			}
		}
	}
	if token.Secret(text).Reveal() != text {
		t.Error("Reveal does not give the text")
	}
}

// The check above can fail: what is not secret is found in every spelling
// that the printers use.
func TestRedactionTestCanFail(t *testing.T) {
	b := []byte("ABCDEFGHIJKLMNOP")
	out := printed(t, [16]byte(b)) + printed(t, string(b))
	found := 0
	for _, spelling := range spellings(b) {
		if strings.Contains(out, spelling) {
			found++
		}
	}
	if found < 8 {
		t.Errorf("only %d of %d spellings of a plain value are found", found, len(spellings(b)))
	}
}

// A token that is refused is not in the error that refuses it.
//
// Rows: 128, 238, A92
func TestErrorsDoNotQuoteTheToken(t *testing.T) {
	const canary = "CanaryCanaryCanary"
	codec := token.NewRefreshCodec(vectorKey)
	payload := string(token.AppendBase64URL(nil, []byte(`{"sub":"`+canary+`","sub":1}`)))
	for name, err := range map[string]error{
		"Open":          second(codec.Open(token.RefreshPrefix + canary)),
		"SplitAccess":   second(token.SplitAccess(canary)),
		"DecodeClaims":  second(token.DecodeClaims(payload)),
		"WitnessOf":     second(token.WitnessOf("a." + payload + ".c")),
		"ParseID":       second(token.ParseID(canary)),
		"base64url":     second(token.AppendDecodedBase64URL(nil, canary+"=")),
		"EncodeAccess":  second(token.EncodeAccess(token.Claims{Subject: canary + "\xff"}, newTestSigner())),
		"UnmarshalText": new(token.ID).UnmarshalText([]byte(canary)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if out := printed(t, err); strings.Contains(out, canary) || strings.Contains(out, payload) {
			t.Errorf("%s: the error quotes what it refuses: %v", name, err)
		}
	}
}
