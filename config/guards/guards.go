// Package guards embeds the admission policies that keep people and the
// operator honest, as config/guards ships them: the operator compares the
// cluster with them, and the plugin prints them.
package guards

import "embed"

// Files are the manifests, one guard a file, each a policy and its binding.
//
//go:embed approval.yaml status.yaml run.yaml origin.yaml
var Files embed.FS
