#!/usr/bin/env bash
# Installs the Debian packages that a local cluster needs and this machine lacks.
# What counts is the program, not the package: somebody else's containerd is fine.
set -euo pipefail

needs=(
	containerd=containerd
	runc=runc
	/usr/lib/cni/ptp=containernetworking-plugins
	nft=nftables
	iptables=iptables
	conntrack=conntrack
	ethtool=ethtool
	socat=socat
	ip=iproute2
	prometheus=prometheus
	prometheus-alertmanager=prometheus-alertmanager
)

PATH=$PATH:/usr/sbin:/sbin
missing=()
for need in "${needs[@]}"; do
	command -v "${need%%=*}" >/dev/null || missing+=("${need##*=}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install="apt-get install --no-install-recommends -y ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
	echo "this machine lacks ${missing[*]}: sudo $install" >&2
	exit 1
fi
echo "installing ${missing[*]}"

# The programs are wanted, not the services: their ports stay free.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
$install -qq
