// Package image makes images without a registry, from one static program or from Debian
// packages, keeps them in the cache and serves them to the nodes.
package image

import (
	"context"
	_ "embed"
	"strings"
)

//go:embed files/wget.sh
var wget string

// applets are the commands that busybox lends its name to, where no package brings a better one.
const applets = `[ arch ash awk base64 basename bunzip2 bzcat bzip2 cal cat chgrp chmod chown chroot clear cmp cp cpio
cut date dc dd df diff dirname dmesg dnsdomainname du echo ed egrep env expand expr factor fallocate false
fgrep find fold free fsync getopt grep groups gunzip gzip head hexdump hostid hostname id install ip ipcalc kill
killall less link ln logger ls lzcat md5sum microcom mkdir mkfifo mknod mktemp more mount mv nc netstat nl nproc
nslookup od paste patch pidof ping ping6 printf ps pwd readlink realpath renice reset rev rm rmdir sed seq setsid sh
sha1sum sha256sum sha512sum shuf sleep sort split stat strings stty sync sysctl tac tail tar tee telnet test tftp
time timeout top touch tr traceroute true truncate tty uname unexpand uniq unlink unxz unzip uptime usleep uudecode
uuencode vi watch wc which who whoami xargs xxd xz xzcat yes zcat`

// baseFiles make a C library's name lookups work and give the usual users names.
var baseFiles = map[string]string{
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnginx:x:101:101::/:/sbin/nologin\nredis:x:999:999::/data:/sbin/nologin\n" +
		"nobody:x:65534:65534::/:/sbin/nologin\n",
	"etc/group": "root:x:0:\nnginx:x:101:\nredis:x:999:\nnogroup:x:65534:\n",
}

// baseTree is below every Debian image: C library, busybox (the dynamic one: the static one
// crashes when it resolves names), users, and the links of a merged /usr.
func baseTree(ctx context.Context, store Store) (Tree, error) {
	tree, err := fromPackages(ctx, store, "busybox")
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		tree.Dir("usr/"+dir, 0o755)
		tree.Link(dir, "usr/"+dir)
	}
	for _, applet := range strings.Fields(applets) {
		tree.Link("usr/bin/"+applet, "busybox")
	}
	tree.File("usr/bin/wget", 0o755, []byte(wget))
	for name, content := range baseFiles {
		tree.File(name, 0o644, []byte(content))
	}
	for _, dir := range []string{"tmp", "var/tmp"} {
		tree.Dir(dir, 0o1777)
	}
	for _, dir := range []string{"dev", "proc", "sys", "root", "run", "var/log"} {
		tree.Dir(dir, 0o755)
	}
	return tree, nil
}
