package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// need is a program, or a file, that a Debian package brings.
type need struct{ program, pkg string }

var needs = []need{
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
	{"/usr/lib/cni/host-local", "containernetworking-plugins"},
	{"ip", "iproute2"},
	{"nft", "nftables"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"apt-get", "apt"},
	{"dpkg-deb", "dpkg"},
}

var monitoringNeeds = []need{
	{"prometheus", "prometheus"},
	{"prometheus-alertmanager", "prometheus-alertmanager"},
}

// check says in one sentence what this machine lacks. Installing it is not our business.
func check(spec Spec) error {
	if os.Geteuid() != 0 {
		return errors.New("localcluster makes network namespaces and mounts: run it as root")
	}
	all := needs
	if spec.Monitoring {
		all = slices.Concat(needs, monitoringNeeds)
	}
	if missing := missingPackages(all, exec.LookPath); len(missing) > 0 {
		return fmt.Errorf("this machine lacks %s: apt-get install --no-install-recommends -y %s",
			strings.Join(missing, ", "), strings.Join(missing, " "))
	}
	return nil
}

func missingPackages(needs []need, look func(string) (string, error)) []string {
	var missing []string
	for _, n := range needs {
		if _, err := look(n.program); err != nil && !slices.Contains(missing, n.pkg) {
			missing = append(missing, n.pkg)
		}
	}
	return missing
}
