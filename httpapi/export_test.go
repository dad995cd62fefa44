package httpapi

import "strings"

// A RouteLine is a line of the table, for tests that walk all of it.
type RouteLine struct {
	Method, Path, Body string
	Public, OAuth      bool
	Script             bool
}

// Table returns the routes with an id that fits in place of {id}.
func (a *API) Table() (lines []RouteLine) {
	for _, rt := range a.routes {
		lines = append(lines, RouteLine{
			rt.method, strings.ReplaceAll(rt.path, "{id}", "AAAAAAAAAAAAAAAAAAAAAA"), strings.Split(rt.body, " ")[0],
			rt.shared == public, strings.HasSuffix(rt.path, "/token") || strings.HasSuffix(rt.path, "/revoke") || strings.HasSuffix(rt.path, "/introspect"),
			rt.shared == script,
		})
	}
	return lines
}
