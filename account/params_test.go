package account_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
)

// Rows: 159, 192
func TestNewHasherRefusesParametersBelowTheFloor(t *testing.T) {
	const mib = 1024
	for _, c := range []struct {
		memory, time uint32
		lanes        uint8
		ok           bool
	}{
		{19 * mib, 2, 1, true},
		{46 * mib, 1, 1, true},
		{12 * mib, 3, 1, true},
		{12 * mib, 10, 16, true},
		{64 * mib, 3, 4, true},
		{256 * mib, 10, 1, true},
		{19*mib - 1, 2, 1, false},
		{19 * mib, 1, 1, false},
		{46*mib - 1, 1, 1, false},
		{12*mib - 1, 3, 1, false},
		{12 * mib, 2, 1, false},
		{12*mib - 1, 10, 16, false},
		{8, 1, 1, false},
		{0, 0, 0, false},
		{19 * mib, 0, 1, false},
		{19 * mib, 2, 0, false},
		{0, 2, 1, false},
		{256*mib + 1, 2, 1, false},
		{19 * mib, 11, 1, false},
		{19 * mib, 2, 17, false},
	} {
		params := account.Params{Memory: c.memory, Time: c.time, Parallelism: c.lanes}
		hasher, err := account.NewHasher(params, 1, time.Second)
		if c.ok && err != nil {
			t.Errorf("%+v: %v", params, err)
		}
		if !c.ok && (!errors.Is(err, account.ErrParams) || hasher != nil) {
			t.Errorf("%+v: got %v, want ErrParams", params, err)
		}
	}
	// The exported fields of the weak parameters do not carry the permission.
	weak := account.DangerouslyWeakParamsForTests()
	copied := account.Params{Memory: weak.Memory, Time: weak.Time, Parallelism: weak.Parallelism}
	if _, err := account.NewHasher(copied, 1, time.Second); !errors.Is(err, account.ErrParams) {
		t.Errorf("a copy of the weak parameters: got %v, want ErrParams", err)
	}
	// Nor do parameters that were read back from a hash.
	read, err := account.Compose(weak, make([]byte, 16), make([]byte, 32)).Params()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := account.NewHasher(read, 1, time.Second); !errors.Is(err, account.ErrParams) {
		t.Errorf("weak parameters from a hash: got %v, want ErrParams", err)
	}
}

// Rows: 161
func TestNewHasherRefusesToBeUnbounded(t *testing.T) {
	params := account.DefaultParams()
	for _, c := range []struct {
		slots int
		wait  time.Duration
	}{{0, time.Second}, {-1, time.Second}, {1025, time.Second}, {1, 0}, {1, -time.Second}, {1, time.Minute + 1}} {
		if hasher, err := account.NewHasher(params, c.slots, c.wait); err == nil || hasher != nil {
			t.Errorf("%d slots and a wait of %v were accepted", c.slots, c.wait)
		}
	}
}

// Rows: 159
func TestHashesCarryTheDefaultParameters(t *testing.T) {
	hasher := mustHasher(t, account.DefaultParams(), 1, time.Second)
	password := account.NewPassword("correct horse")
	hash, err := hasher.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	got, err := hash.Params()
	if want := (account.Params{Memory: 19456, Time: 2, Parallelism: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if ok, err := hasher.Verify(t.Context(), hash, password); err != nil || !ok {
		t.Errorf("its own hash: %v, %v", ok, err)
	}
}
