// Package network joins the nodes' network namespaces with a bridge and closes them:
// a node has routes to the host's bridge, the other nodes, pods and Services, and
// nothing else. The host forwards nothing, so neither ip_forward nor a firewall of
// the host is touched.
package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// Create makes bridge, routes and the namespaces of all nodes.
func Create(ctx context.Context, c topology.Cluster) error {
	if err := batch(ctx, "", hostCommands(c)); err != nil {
		return err
	}
	if err := quiet(c.Bridge()); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if err := createNode(ctx, c, n); err != nil {
			return fmt.Errorf("joining %s to the network: %w", n.Name, err)
		}
	}
	return nil
}

func createNode(ctx context.Context, c topology.Cluster, n topology.Node) error {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", n.Dir, err)
	}
	if err := process.NewNetns(n.Netns()); err != nil {
		return err
	}
	if err := process.InNetns(n.Netns(), nodeSettings); err != nil {
		return err
	}
	if err := batch(ctx, "", vethCommands(c, n)); err != nil {
		return err
	}
	if err := batch(ctx, n.Netns(), nodeCommands(c, n)); err != nil {
		return err
	}
	if err := process.InNetns(n.Netns(), func() error { return rejectUnassigned(ctx, c) }); err != nil {
		return err
	}
	// The route needs the node's link to be up.
	return batch(ctx, "", []string{fmt.Sprintf("route replace %s via %s", n.PodCIDR, n.Address)})
}

// hostCommands are lines for `ip` on the host. What no node answers for is unreachable at once.
func hostCommands(c topology.Cluster) []string {
	return []string{
		fmt.Sprintf("link add %s type bridge", c.Bridge()),
		fmt.Sprintf("addr add %s/24 dev %s", c.HostAddress(), c.Bridge()),
		fmt.Sprintf("link set %s up", c.Bridge()),
		"route replace unreachable " + c.ServiceCIDR(),
		"route replace unreachable " + c.PodCIDR(),
	}
}

func vethCommands(c topology.Cluster, n topology.Node) []string {
	return []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", n.Veth, n.Netns()),
		fmt.Sprintf("link set %s master %s up", n.Veth, c.Bridge()),
	}
}

// nodeCommands are lines for `ip` in the node's namespace. The route for Services only gets a packet
// as far as kube-proxy's rules.
func nodeCommands(c topology.Cluster, n topology.Node) []string {
	lines := []string{
		"link set lo up",
		fmt.Sprintf("addr add %s/24 dev eth0", n.Address),
		"link set eth0 up",
		fmt.Sprintf("route add %s via %s", c.ServiceCIDR(), c.HostAddress()),
		"route add unreachable " + c.PodCIDR(),
		"route add unreachable default",
	}
	for _, other := range c.Nodes {
		if other.Name != n.Name {
			lines = append(lines, fmt.Sprintf("route add %s via %s", other.PodCIDR, other.Address))
		}
	}
	return lines
}

// nodeSettings are kernel settings of a node's namespace: it routes for its pods, and speaks IPv4 only.
func nodeSettings() error {
	for setting, value := range map[string]string{
		"ip_forward":     "1",
		"icmp_ratelimit": "0", // an address that can not be reached is reported each time, not once a second
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+setting, []byte(value), 0o600); err != nil {
			return fmt.Errorf("setting up the node's network: %w", err)
		}
	}
	return quiet("all")
}

// rejectUnassigned answers for Services' addresses that nobody has, just before kube-proxy drops what is
// sent there in silence. (TCP is reset: an ICMP answer would overtake the call that asks, and be lost on it.) Where a Service has no endpoints the answer is the one that kube-proxy gives.
func rejectUnassigned(ctx context.Context, c topology.Cluster) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`table ip localcluster {
	chain forward {
		type filter hook forward priority filter - 1
		ip daddr %[1]s meta l4proto tcp reject with tcp reset
		ip daddr %[1]s reject
	}
	chain output {
		type filter hook output priority filter - 1
		ip daddr %[1]s meta l4proto tcp reject with tcp reset
		ip daddr %[1]s reject
	}
}
`, c.ServiceCIDR()))
	_, err := process.RunWith(ctx, cmd)
	return err
}

// quiet turns IPv6 off for a link; a kernel without it has nothing to turn off.
func quiet(link string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+link+"/disable_ipv6", []byte("1"), 0o600)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("turning IPv6 off for %s: %w", link, err)
	}
	return nil
}

func batch(ctx context.Context, netns string, lines []string) error {
	return process.InNetns(netns, func() error {
		for _, line := range lines {
			if _, err := process.Run(ctx, "ip", strings.Fields(line)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete removes what Create made, or the part of it that is there. The namespaces
// themselves go with their mounts and processes.
func Delete(ctx context.Context, c topology.Cluster) error {
	for _, n := range c.Nodes {
		if err := deleteLink(ctx, n.Veth); err != nil {
			return err
		}
	}
	if err := deleteLink(ctx, c.Bridge()); err != nil {
		return err
	}
	for _, cidr := range []string{c.ServiceCIDR(), c.PodCIDR()} {
		out, err := process.Run(ctx, "ip", "route", "show", "type", "unreachable", "exact", cidr)
		if err != nil {
			return err
		}
		if len(out) == 0 {
			continue
		}
		if _, err := process.Run(ctx, "ip", "route", "del", "unreachable", cidr); err != nil {
			return err
		}
	}
	return nil
}

// deleteLink deletes a link, unless the end of the namespace at its other end was faster.
func deleteLink(ctx context.Context, name string) error {
	if !exists(name) {
		return nil
	}
	if _, err := process.Run(ctx, "ip", "link", "del", name); err != nil && exists(name) {
		return err
	}
	return nil
}

func exists(link string) bool {
	_, err := net.InterfaceByName(link)
	return err == nil
}

// Conflict returns a route of the host that overlaps one of the cluster's ranges, or "".
func Conflict(ctx context.Context, c topology.Cluster) (string, error) {
	out, err := process.Run(ctx, "ip", "-json", "-4", "route", "show", "table", "all")
	if err != nil {
		return "", err
	}
	var routes []struct {
		Dst string `json:"dst"`
	}
	if err := json.Unmarshal(out, &routes); err != nil {
		return "", fmt.Errorf("reading routes: %w", err)
	}
	for _, r := range routes {
		if overlaps(r.Dst, c.NodeCIDR(), c.PodCIDR(), c.ServiceCIDR()) {
			return r.Dst, nil
		}
	}
	return "", nil
}

// overlaps reports whether a route's destination shares addresses with a range; the default route does not count.
func overlaps(dst string, ranges ...string) bool {
	p, err := netip.ParsePrefix(dst)
	if err != nil {
		addr, err := netip.ParseAddr(dst)
		if err != nil {
			return false
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	for _, r := range ranges {
		if p.Bits() > 0 && p.Overlaps(netip.MustParsePrefix(r)) {
			return true
		}
	}
	return false
}
