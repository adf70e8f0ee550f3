// Package crd embeds the CustomResourceDefinitions, as config/crd ships them: the operator
// compares the cluster's with them.
package crd

import "embed"

// Files are the manifests, one kind a file.
//
//go:embed bases/*.yaml
var Files embed.FS
