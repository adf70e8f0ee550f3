package image

import (
	"archive/tar"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestMerged(t *testing.T) {
	rows := map[string]struct{ path, want string }{
		"a program below /bin moves":           {"./bin/busybox", "usr/bin/busybox"},
		"a library below /lib moves":           {"./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"},
		"what is below /usr stays":             {"./usr/bin/curl", "usr/bin/curl"},
		"the directory itself becomes a link":  {"./lib64/", ""},
		"the root is nothing":                  {"./", ""},
		"nothing leads out of the file system": {"../../etc/shadow", "etc/shadow"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := merged(row.path); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestUnpackFollowsHardLinksAndLeavesDocumentationOut(t *testing.T) {
	tree := Tree{}
	for _, h := range []tar.Header{
		{Name: "./bin/a", Typeflag: tar.TypeReg, Mode: 0o755},
		{Name: "./bin/b", Typeflag: tar.TypeLink, Linkname: "./bin/a"},
		{Name: "./usr/share/doc/a/README", Typeflag: tar.TypeReg},
	} {
		if err := tree.Unpack(&h, strings.NewReader("program")); err != nil {
			t.Fatal(err)
		}
	}
	if string(tree["usr/bin/b"].content) != "program" {
		t.Error("the hard link is empty")
	}
	for name := range tree {
		if strings.HasPrefix(name, "usr/share/doc") {
			t.Errorf("unpacked %s", name)
		}
	}
}

func build(t *testing.T, env ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pause")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./pause")
	cmd.Dir = filepath.Join("..", "..", "binaries")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building pause: %v\n%s", err, out)
	}
	return path
}

func TestStaticImageIsReproducibleAndRunsAsNobody(t *testing.T) {
	program := build(t, "CGO_ENABLED=0")
	digests := map[v1.Hash]bool{}
	for range 2 {
		img, err := Static(program)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
		config, err := img.ConfigFile()
		if err != nil || config.Config.User != "65532:65532" || config.Config.Entrypoint[0] != "/pause" {
			t.Errorf("got %+v, %v", config.Config, err)
		}
	}
	if len(digests) != 1 {
		t.Errorf("the same program made %d images", len(digests))
	}
}

func TestStaticRefuses(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{shell: "CGO_ENABLED=0", text: "not a Linux program", text + "x": "reading program"} {
		if _, err := Static(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

func TestRegistryServesWhatIsListedAndNothingElse(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	tree := Tree{}
	tree.File("hello", 0o644, []byte("hello"))
	img, err := assemble(v1.Config{}, tree)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := store.add(img)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.save("s", map[string]v1.Hash{"docker.io/library/nginx:1.27": digest}); err != nil {
		t.Fatal(err)
	}
	handler, err := newHandler(t.Context(), store, []string{"s"})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]struct {
		method, url string
		want        int
	}{
		"a listed tag":                      {"HEAD", "/v2/library/nginx/manifests/1.27?ns=docker.io", 200},
		"its digest":                        {"GET", "/v2/library/nginx/manifests/" + digest.String() + "?ns=docker.io", 200},
		"its layer":                         {"GET", "/v2/library/nginx/blobs/" + layer.String() + "?ns=docker.io", 200},
		"the greeting":                      {"GET", "/v2/", 200},
		"an unlisted tag of a known image":  {"GET", "/v2/library/nginx/manifests/1.28?ns=docker.io", 404},
		"an unknown image":                  {"GET", "/v2/library/nosuch/manifests/1.27?ns=docker.io", 404},
		"the same name at another registry": {"GET", "/v2/library/nginx/manifests/1.27?ns=quay.io", 404},
		"a namespace that is a path":        {"GET", "/v2/nginx/manifests/1.27?ns=docker.io/library/../..", 404},
		"a tag of a denied image":           {"HEAD", "/v2/library/nginx/manifests/1.27-401?ns=docker.io", 401},
		"a tag of a counting registry":      {"GET", "/v2/private/shop/manifests/2-429?ns=quay.io", 429},
		"a token":                           {"GET", "/token?scope=repository:private:pull", 200},
		"writing":                           {"PUT", "/v2/library/nginx/manifests/1.27?ns=docker.io", 405},
		"deleting":                          {"DELETE", "/v2/library/nginx/manifests/1.27?ns=docker.io", 405},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(row.method, row.url, http.NoBody))
			if answer.Code != row.want {
				t.Errorf("got %d, want %d: %s", answer.Code, row.want, answer.Body)
			}
		})
	}
	if _, err := newHandler(t.Context(), store, []string{"never-made"}); err == nil {
		t.Error("a set that was never made is served")
	}
}
