package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Tree is a file system in the making. Its layer depends on nothing but the files.
type Tree map[string]entry

type entry struct {
	kind    byte
	mode    int64
	link    string
	content []byte
}

// File adds a file and the directories above it.
func (t Tree) File(name string, mode int64, content []byte) {
	t.put(name, entry{kind: tar.TypeReg, mode: mode, content: content})
}

// Link adds a symbolic link.
func (t Tree) Link(name, target string) {
	t.put(name, entry{kind: tar.TypeSymlink, mode: 0o777, link: target})
}

// Dir adds a directory.
func (t Tree) Dir(name string, mode int64) {
	t.put(name, entry{kind: tar.TypeDir, mode: mode})
}

func (t Tree) put(name string, e entry) {
	name = strings.Trim(path.Clean("/"+name), "/")
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := t[dir]; !ok {
			t[dir] = entry{kind: tar.TypeDir, mode: 0o755}
		}
	}
	t[name] = e
}

// Unpack adds a file of a Debian package, moved below /usr where Debian keeps it since version 12,
// and leaves out what no program reads.
func (t Tree) Unpack(header *tar.Header, content io.Reader) error {
	name := merged(header.Name)
	if name == "" || isDocumentation(name) {
		return nil
	}
	switch header.Typeflag {
	case tar.TypeDir:
		if _, ok := t[name]; !ok {
			t.Dir(name, header.Mode&0o7777)
		}
	case tar.TypeSymlink:
		t.Link(name, header.Linkname)
	case tar.TypeLink:
		t.put(name, t[merged(header.Linkname)])
	case tar.TypeReg:
		b, err := io.ReadAll(content)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		t.File(name, header.Mode&0o7777, b)
	}
	return nil
}

// merged is the path of a file on a system whose /bin, /sbin and /lib are links below /usr.
func merged(name string) string {
	name = strings.Trim(path.Clean("/"+name), "/")
	top, rest, below := strings.Cut(name, "/")
	switch top {
	case "bin", "sbin", "lib", "lib64":
		if !below {
			return ""
		}
		return "usr/" + top + "/" + rest
	}
	return name
}

func isDocumentation(name string) bool {
	for _, dir := range []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/info"} {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// Without returns the part of the tree that a layer below does not have already.
func (t Tree) Without(below Tree) Tree {
	rest := Tree{}
	for name, e := range t {
		if old, ok := below[name]; !ok || !old.equal(e) {
			rest[name] = e
		}
	}
	return rest
}

func (e entry) equal(o entry) bool {
	return e.kind == o.kind && e.mode == o.mode && e.link == o.link && bytes.Equal(e.content, o.content)
}

// Layer packs the tree: sorted by name, at the beginning of time, owned by root.
func (t Tree) Layer() (v1.Layer, error) {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range names {
		if err := write(w, name, t[name]); err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing layer: %w", err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return nil, fmt.Errorf("packing layer: %w", err)
	}
	return layer, nil
}

func write(w *tar.Writer, name string, e entry) error {
	header := &tar.Header{
		Name: name, Typeflag: e.kind, Mode: e.mode, Linkname: e.link,
		Size: int64(len(e.content)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	if e.kind == tar.TypeDir {
		header.Name += "/"
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(e.content)
	return err
}
