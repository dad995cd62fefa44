package accounttest_test

import (
	"testing"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	accounttest.Run(t, func(*testing.T) account.Store { return accounttest.NewMemory() })
}
