package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Serve answers pulls for the images of the sets, and 404 for every other, until the context ends.
func Serve(ctx context.Context, address string, store Store, sets []string) error {
	handler, err := newHandler(ctx, store, sets)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving images on %s: %w", address, err)
	}
	return nil
}

func newHandler(ctx context.Context, store Store, sets []string) (http.Handler, error) {
	images := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(store.blobs())), registry.Logger(log.New(io.Discard, "", 0)))
	for _, set := range sets {
		refs, ok, err := store.References(set)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("image set %s: not made yet", set)
		}
		for ref, digest := range refs {
			manifest, err := os.ReadFile(store.blob(digest))
			if err == nil {
				err = publish(ctx, images, ref, manifest)
			}
			if err != nil {
				return nil, fmt.Errorf("publishing %s: %w", ref, err)
			}
		}
	}
	return onlyPulls(images), nil
}

// publish gives the registry a manifest; it keeps those in memory, while contents stay on disk.
func publish(ctx context.Context, images http.Handler, reference string, manifest []byte) error {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("reading reference: %w", err)
	}
	url := path.Join("/v2", tag.RegistryStr(), tag.RepositoryStr(), "manifests", tag.TagStr())
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(manifest))
	if err != nil {
		return fmt.Errorf("writing manifest: %w", err)
	}
	req.Header.Set("Content-Type", string(types.DockerManifestSchema2))
	answer := &status{header: http.Header{}}
	images.ServeHTTP(answer, req)
	if answer.code != http.StatusCreated {
		return fmt.Errorf("writing manifest: the registry answers %d", answer.code)
	}
	return nil
}

// onlyPulls hides the images of different registries from each other (containerd names the one
// that it means in the query) and lets nobody write.
func onlyPulls(images http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			http.Error(w, "this registry is read-only", http.StatusMethodNotAllowed)
			return
		}
		if rest, ok := strings.CutPrefix(req.URL.Path, "/v2/"); ok && rest != "" {
			req.URL.Path = path.Join("/v2", asRegistry(req.URL.Query().Get("ns")), rest)
		}
		if !ill(w, req) {
			images.ServeHTTP(w, req)
		}
	})
}

// illTag is the end of a tag whose pull ends as at a registry that denies, counts or is unwell.
var illTag = regexp.MustCompile(`/manifests/[^/]+-(401|403|429|503)$`)

// errorBodies are what registries answer with, by status.
var errorBodies = map[int]string{
	http.StatusUnauthorized:       `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`,
	http.StatusForbidden:          `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`,
	http.StatusTooManyRequests:    `{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}`,
	http.StatusServiceUnavailable: "no healthy upstream",
}

// ill answers for an image whose tag ends in -401, -403, -429 or -503 with that status. A 401 first
// sends for a token, which everybody gets, and which is then too little, as at public registries.
func ill(w http.ResponseWriter, req *http.Request) bool {
	if req.URL.Path == "/token" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token":"nobody"}`)
		return true
	}
	found := illTag.FindStringSubmatch(req.URL.Path)
	if found == nil {
		return false
	}
	code, _ := strconv.Atoi(found[1]) // three digits
	if code == http.StatusUnauthorized {
		challenge := fmt.Sprintf("Bearer realm=\"http://%s/token\",service=\"registry\",scope=\"repository:private:pull\"", req.Host)
		if req.Header.Get("Authorization") != "" {
			challenge += ",error=\"insufficient_scope\""
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	http.Error(w, errorBodies[code], code)
	return true
}

// asRegistry maps the name that people write to the one that references resolve to.
func asRegistry(ns string) string {
	switch ns {
	case "", "docker.io":
		return name.DefaultRegistry
	}
	return ns
}

// status is a ResponseWriter for somebody who only wants to know whether it worked.
type status struct {
	header http.Header
	code   int
}

func (s *status) Header() http.Header { return s.header }

func (s *status) WriteHeader(code int) { s.code = code }

func (s *status) Write(b []byte) (int, error) { return len(b), nil }
