package servicetest_test

import (
	"testing"

	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/service/servicetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	servicetest.Run(t, func(*testing.T) service.Store { return servicetest.NewMemory() })
}
