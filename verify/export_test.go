package verify

// CacheLen returns how many tokens are remembered.
func (v *Verifier) CacheLen() int {
	if v.cache == nil {
		return 0
	}
	v.cache.CleanUp()
	return v.cache.EstimatedSize()
}
