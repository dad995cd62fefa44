// Package browsertest opens the pages of Pawl in real browsers and judges
// what a person gets: that every page can be used by anybody, in either
// scheme, language and width, by keyboard alone and without script; that it
// breaks no rule of HTML or of its own policy; and that a hostile site, a
// hostile script, or a browser that keeps no cookies gets no further than it
// should.
//
// Each test runs in Chromium and in Firefox, unless it says why in one only.
// The application is at https://app.pawl.test, beside a sibling below the same
// domain and strangers; an authority of the tests vouches for them all.
//
// It holds tests only. They need chromium, firefox-esr and node, and the tools
// of npm/, which "npm ci --ignore-scripts" installs there. The flag -update
// writes the pictures in docs/screenshots.
package browsertest
