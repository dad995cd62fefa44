// Package routers shows Pawl in two routers that people know: chi and echo. It
// is a module of its own, so that Pawl does not depend on them.
package routers
