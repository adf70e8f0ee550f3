package node

import (
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

func TestTemplates(t *testing.T) {
	c, err := topology.New("/var/lib/x", "lab", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]struct {
		file     string
		cgroupV1 bool
		want     []string
		never    string
	}{
		"a kubelet on cgroup v1 is told that this is no mistake": {
			file: "kubelet.yaml", cgroupV1: true, want: []string{"failCgroupV1: false", "cgroupRoot: /kn1-node2", "address: 172.31.78.12"},
		},
		"a kubelet on cgroup v2 is not: other versions do not know the field": {
			file: "kubelet.yaml", want: []string{"cgroupRoot: /kn1-node2"}, never: "failCgroupV1",
		},
		"containerd pulls from our registry only": {
			file: "containerd.toml", want: []string{`config_path = "/var/lib/x/lab/registries"`, "restrict_oom_score_adj = true"},
		},
		"pods never leave under the node's address": {
			file: "cni.conflist", want: []string{`"ipMasq": false`, `"subnet": "10.201.2.0/24"`},
		},
		"kube-proxy leaves the host's table of connections alone": {
			file: "kube-proxy.yaml", want: []string{"mode: nftables", "maxPerCore: 0, min: 0"},
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := templates.ExecuteTemplate(&out, row.file, values{Cluster: c, Node: c.Nodes[1], Pause: "pause", CgroupV1: row.cgroupV1}); err != nil {
				t.Fatal(err)
			}
			for _, want := range row.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("missing %q in:\n%s", want, out.String())
				}
			}
			if row.never != "" && strings.Contains(out.String(), row.never) {
				t.Errorf("%q in:\n%s", row.never, out.String())
			}
		})
	}
}
