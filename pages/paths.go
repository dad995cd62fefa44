package pages

// Below returns the paths of all pages below a prefix, for
// [httpapi.Options].Pages: whether a browser may be sent to each after a
// sign-in or a renewal, or would be sent on again from there.
func Below(prefix string) map[string]bool {
	return map[string]bool{
		prefix + "/signin":     false,
		prefix + "/signup":     false,
		prefix + "/signout":    false,
		prefix + "/signed-out": false,
		prefix + "/renew":      false,
		prefix + "/devices":    true,
		prefix + "/password":   true,
	}
}
