package account_test

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/account"
)

const canary = "canary-7Qm2xLd9"

// showsCanary reports whether text contains the canary in any of the forms in which fmt and encoders write bytes.
func showsCanary(text string) bool {
	lower := strings.ToLower(text)
	for _, form := range []string{
		canary, hex.EncodeToString([]byte(canary)), fmt.Sprintf("% x", canary),
		strings.Trim(fmt.Sprint([]byte(canary)), "[]"), base64.StdEncoding.EncodeToString([]byte(canary)),
	} {
		if strings.Contains(lower, strings.ToLower(form)) {
			return true
		}
	}
	return false
}

func requireNoCanary(t *testing.T, where, text string) {
	t.Helper()
	if showsCanary(text) {
		t.Errorf("%s shows the secret: %s", where, text)
	}
}

// prints calls show with every way in which a value may get into a log.
func prints(t *testing.T, value any, show func(where, text string)) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%T %v"} {
		args := []any{value}
		if verb == "%T %v" {
			args = []any{value, value}
		}
		show(verb, fmt.Sprintf(verb, args...))
	}
	show("an error", fmt.Errorf("wrapped: %v", value).Error())
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "value", value, slog.Group("g", "value", value))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "value", value, slog.Group("g", "value", value))
	show("slog", out.String())
	encoded, err := json.Marshal(value)
	show("json", fmt.Sprint(string(encoded), err))
	encoded, err = stdjson.Marshal(value)
	show("encoding/json", fmt.Sprint(string(encoded), err))
}

func TestPasswordRedactsItself(t *testing.T) {
	secret := account.NewPassword(canary)
	type form struct{ Password account.Password }
	type hidden struct {
		secret account.Password
		inner  struct{ secret *account.Password }
	}
	buried := hidden{secret: secret}
	buried.inner.secret = &secret
	for _, value := range []any{
		secret, &secret, form{secret}, &form{secret}, []account.Password{secret}, map[string]account.Password{"p": secret},
		map[account.Password]int{secret: 1}, buried, &buried, []hidden{buried}, errors.Join(fmt.Errorf("%w: %v", account.ErrPassword, secret)),
	} {
		prints(t, value, func(where, text string) { requireNoCanary(t, fmt.Sprintf("%T with %s", value, where), text) })
	}
	if got := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); got != strings.TrimSpace(strings.Repeat("[redacted] ", 4)) {
		t.Errorf("got %q", got)
	}
	requireRedacted(t, secret)
}

func TestHashRedactsItself(t *testing.T) {
	// The canary is the start of the salt, and of the base64 text of it.
	secret := account.Hash("$argon2id$v=19$m=19456,t=2,p=1$" + canary + "$" + tag)
	user := account.User{ID: "u_1", Name: "ada", Hash: secret}
	for _, value := range []any{secret, &secret, user, &user, []account.User{user}, map[string]account.User{"u": user}} {
		prints(t, value, func(where, text string) { requireNoCanary(t, fmt.Sprintf("%T with %s", value, where), text) })
	}
	if got := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); got != strings.TrimSpace(strings.Repeat("[redacted] ", 4)) {
		t.Errorf("got %q", got)
	}
	requireRedacted(t, secret)
}

// requireRedacted checks what others than fmt call.
func requireRedacted(t *testing.T, secret interface {
	fmt.Stringer
	slog.LogValuer
	encoding.TextMarshaler
}) {
	t.Helper()
	text, err := secret.MarshalText()
	for _, got := range []string{secret.String(), secret.LogValue().String(), string(text)} {
		if got != "[redacted]" || err != nil {
			t.Errorf("%T: got %q, %v", secret, got, err)
		}
	}
}

// The search itself can fail: what does not redact is found in all that prints writes.
func TestCanaryIsFoundWhereNothingRedacts(t *testing.T) {
	for _, value := range []any{canary, struct{ Secret string }{canary}} {
		prints(t, value, func(where, text string) {
			if !showsCanary(text) {
				t.Errorf("%T with %s: the canary was not found in %s", value, where, text)
			}
		})
	}
}

func TestPasswordIsReadFromJSON(t *testing.T) {
	var form struct {
		Password account.Password `json:"password"`
	}
	if err := json.Unmarshal([]byte(`{"password":"nul\u0000 and \u00e9"}`), &form); err != nil {
		t.Fatal(err)
	}
	hasher := weakHasher(t)
	hash, err := hasher.Hash(t.Context(), form.Password)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := hasher.Verify(t.Context(), hash, account.NewPassword("nul\x00 and \u00e9")); err != nil || !ok {
		t.Errorf("got %v, %v", ok, err)
	}
	if err := json.Unmarshal([]byte(`{"password":{"text":"`+canary+`"}}`), &form); err == nil {
		t.Error("an object was taken for a password")
	} else {
		requireNoCanary(t, "the decoder's error", err.Error())
	}
}
