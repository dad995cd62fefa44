// Package pages owns what a user sees of Pawl: the pages to sign in, sign up
// and sign out, to see and end one's devices, to change the password, to renew
// a session on the way to another page, and to be told what went wrong.
//
// To follow a request, read pages.go: [Pages.ServeHTTP] applies the table of
// pages, one file each. view.go is the only place that renders, form.go the
// only one that reads what a browser sent, language.go the only one that
// chooses words; these are in strings/, one file for each language.
//
// Every page is complete without script. Scripts only spare a click: one
// renews a session (assets/renew.js), one shows a password and holds back a
// second click (assets/form.js). Nothing is loaded from another site.
//
// The package decides nothing about users or sessions: it reads a form, asks
// package httpapi, and shows the outcome. It refuses forms that are too long
// or have missing, repeated or unknown fields, and writes no cookie.
package pages
