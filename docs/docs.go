// Package docs owns the documents of this folder that a server hands out
// itself. Package serviceapi serves them.
package docs

import _ "embed"

// ServiceAPI is the OpenAPI 3.1 document of the routes for services.
//
//go:embed openapi-service.yaml
var ServiceAPI []byte
