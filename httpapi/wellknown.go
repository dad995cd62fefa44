package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/dpop"
)

// publicMaxAge is for how long the public documents may be cached. A new key
// is published for longer than that before it signs.
const publicMaxAge = "public, max-age=300"

// keySet is the JWK set that other people's verifiers use (RFC 7517 §5).
func (a *API) keySet(w http.ResponseWriter, _ *http.Request) error {
	return writePublic(w, "application/jwk-set+json", a.Keys.Set().Document())
}

// serverMetadata tells OAuth clients where everything is (RFC 8414 §3).
func (a *API) serverMetadata(w http.ResponseWriter, _ *http.Request) error {
	return writePublic(w, jsonBody, a.metadata)
}

func writePublic(w http.ResponseWriter, mediaType string, body []byte) error {
	h := w.Header()
	h.Set("Cache-Control", publicMaxAge)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Content-Type", mediaType)
	h.Del("Vary") // the same for everybody
	w.WriteHeader(http.StatusOK)
	w.Write(body)
	return nil
}

// describe makes the metadata document. There is no authorization endpoint,
// so response_types_supported would be empty, and empty lists are left out
// (RFC 8414 §3.2).
func (a *API) describe() ([]byte, error) {
	var scopes []string
	for _, c := range slices.Concat([]Client{a.Web}, a.Clients) {
		scopes = append(scopes, strings.Fields(c.Scope)...)
	}
	slices.Sort(scopes)
	base := a.Engine.Issuer + a.Prefix
	none, basic := []string{"none"}, []string{"client_secret_basic"}
	document := struct {
		Issuer                string   `json:"issuer"`
		JWKS                  string   `json:"jwks_uri"`
		TokenEndpoint         string   `json:"token_endpoint"`
		TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
		RevocationEndpoint    string   `json:"revocation_endpoint"`
		RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
		IntrospectionEndpoint string   `json:"introspection_endpoint,omitzero"`
		IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
		GrantTypes            []string `json:"grant_types_supported"`
		Scopes                []string `json:"scopes_supported,omitempty"`
		DPoP                  []string `json:"dpop_signing_alg_values_supported,omitempty"` // RFC 9449 §5.1
	}{
		Issuer: a.Engine.Issuer, JWKS: a.Engine.Issuer + "/.well-known/jwks.json",
		TokenEndpoint: base + "/token", TokenAuth: none, RevocationEndpoint: base + "/revoke", RevocationAuth: none,
		GrantTypes: []string{"refresh_token"}, Scopes: slices.Compact(scopes),
	}
	if a.DPoP != nil {
		document.DPoP = dpop.Algorithms()
	}
	if a.Services != nil {
		document.IntrospectionEndpoint, document.IntrospectionAuth = base+"/introspect", basic
	}
	return json.Marshal(&document)
}
