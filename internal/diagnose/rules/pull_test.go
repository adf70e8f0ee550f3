package rules

import "testing"

// TestRefusalOf holds forms of what registries and container runtimes say.
func TestRefusalOf(t *testing.T) {
	for said, want := range map[string]refusal{
		`rpc error: code = NotFound desc = failed to pull and unpack image "": failed to resolve reference "": not found`: isAbsent,
		"reading manifest 2 in docker.io/shop/web: manifest unknown":                                                      isAbsent,
		"failed commit on ref \"layer-sha256:1\": not found":                                                              unclear, // on the node
		"pull access denied, repository does not exist or may require authorization: server message: insufficient_scope":  isDenied,
		"failed to fetch anonymous token: unexpected status from GET request: 401 Unauthorized":                           isDenied,
		"unexpected status code 403 Forbidden":                                                                            isDenied,
		"UNAUTHORIZED: authentication required":                                                                           isDenied,
		"denied: manifest unknown":                                                                                        isDenied, // they don't say whether it is there
		"429 Too Many Requests - toomanyrequests: unauthorized: sign in":                                                  passes,
		"unexpected status from HEAD request: 503 Service Unavailable":                                                    passes,
		"unexpected status from HEAD request: 403 Forbidden after 1500 milliseconds":                                      isDenied,
		"dial tcp: lookup registry.example on 10.0.0.10:53: no such host":                                                 passes,
		"tls: failed to verify certificate: x509: certificate signed by unknown authority":                                passes,
		"no match for platform in manifest: not found":                                                                    passes,
		"Back-off pulling image": unclear,
		"":                       unclear,
	} {
		t.Run(said, func(t *testing.T) {
			if got := refusalOf(said); got != want {
				t.Errorf("refusalOf(%q) = %d, want %d", said, got, want)
			}
		})
	}
}
