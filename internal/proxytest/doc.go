// Package proxytest holds the proxy configuration that Pawl ships against the
// proxy itself: a real nginx, configured by docs/nginx/pawl.conf with ports and
// paths replaced and nothing else, between raw sockets on one side and a real
// Pawl and an application that remembers every byte on the other. It holds no
// code that others call.
package proxytest
