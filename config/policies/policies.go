// Package policies embeds the policy that every installation begins with.
package policies

import _ "embed"

// Default is the manifest of the policy default, as config/policies ships it.
//
//go:embed default.yaml
var Default []byte
