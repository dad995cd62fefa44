package account

import "testing"

func TestPasswordIsTheSameHoweverItsAccentsAreTyped(t *testing.T) {
	composed, decomposed := NewPassword("caf\u00e9 au lait"), NewPassword("cafe\u0301 au lait")
	if string(composed.bytes()) != string(decomposed.bytes()) {
		t.Error("é and e with a combining accent are hashed differently")
	}
	for _, other := range []string{"CAF\u00c9 au lait", "cafe au lait", "caf\u00e9 au lait "} {
		if string(NewPassword(other).bytes()) == string(composed.bytes()) {
			t.Errorf("%q is taken for another password", other)
		}
	}
	if raw := "not utf-8: \xff\x00"; string(NewPassword(raw).bytes()) != raw {
		t.Error("bytes that are not UTF-8 were changed")
	}
}
