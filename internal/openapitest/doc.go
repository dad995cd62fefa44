// Package openapitest holds docs/openapi.yaml against the routes that there
// are and the answers that they give. It is a module of its own, since the
// validator is large and nothing else needs it; it holds no code that others
// call.
package openapitest
