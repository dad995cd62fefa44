// Package browsertest opens the pages of Pawl in a real browser and judges
// what a person gets: that every page can be used by anybody, in either
// scheme, language and width, by keyboard alone and without script; that it
// breaks no rule of HTML or of its own policy; and that a hostile site, a
// hostile script, or a browser that keeps no cookies gets no further than it
// should.
//
// It holds tests only. They need chromium and node, and the tools of npm/,
// which "npm ci --ignore-scripts" installs there. The flag -update writes the
// pictures in docs/screenshots.
package browsertest
