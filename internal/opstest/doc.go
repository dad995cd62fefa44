// Package opstest holds the board and the alerts of the operator (docs/grafana.json,
// docs/alerts.yaml) against what a running server exposes. It holds no code
// that others call.
package opstest
