package httpapi

import (
	"slices"
	"strings"

	"github.com/pawlauth/pawl/browser"
)

// Routes lists every way into the API as "METHOD /path", sorted; {id} stands
// for a session's id, {hash} for [browser.Hash]. A GET route answers HEAD too.
// Documents are checked against this list.
func (a *API) Routes() []string {
	list := make([]string, 0, len(a.routes))
	for _, rt := range a.routes {
		list = append(list, rt.method+" "+strings.Replace(rt.path, browser.Hash, "{hash}", 1))
	}
	slices.Sort(list)
	return list
}
