package httpauth

import "net/http"

// Coarse is for the tests of its rule.
var Coarse = coarse

// CheckHost is for the tests of its rule.
func (s *Site) CheckHost(r *http.Request) error { return s.checkHost(r) }
