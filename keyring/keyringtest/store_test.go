package keyringtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
)

func TestStore(t *testing.T) {
	keyringtest.Run(t, func(*testing.T) keyring.Store { return keyringtest.NewStore(time.Now) })
}

func TestStoreAnswersToTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := keyringtest.NewStore(time.Now)
	if _, _, err := s.Keys(ctx); err == nil {
		t.Error("Keys answers although nobody waits")
	}
	if err := s.ChangeKeys(ctx, nil); err == nil {
		t.Error("ChangeKeys answers although nobody waits")
	}
}
