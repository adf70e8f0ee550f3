package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// EtcdQuota gives the API server's etcd room for so many bytes.
func EtcdQuota(size int64) Option {
	return func(plane *envtest.ControlPlane) {
		plane.Etcd = &envtest.Etcd{}
		plane.Etcd.Configure().Set("quota-backend-bytes", strconv.FormatInt(size, 10))
	}
}

// junk is what etcd is filled with: keys that are none of Kubernetes'.
const junk = "/junk/"

// noSpace is what etcd answers once it is full.
const noSpace = "database space exceeded"

// FillEtcd writes until etcd takes no more, as it will not until FreeEtcd.
func (s *Server) FillEtcd(ctx context.Context) error {
	value := bytes.Repeat([]byte("x"), 1<<20)
	for i := range 256 {
		err := s.etcd(ctx, "kv/put", map[string]any{"key": fmt.Append(nil, junk, i), "value": value}, nil)
		if err != nil && strings.Contains(err.Error(), noSpace) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("filling etcd: %w", err)
		}
	}
	return errors.New("filling etcd: it has room for more than 256 MiB; start it with EtcdQuota")
}

// FreeEtcd does what an administrator does about an etcd that is full: removes
// what fills it, compacts, defragments, and disarms the alarm.
func (s *Server) FreeEtcd(ctx context.Context) error {
	var removed struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	var raised struct {
		Alarms []map[string]any `json:"alarms"`
	}
	for _, step := range []struct {
		path   string
		body   map[string]any
		answer any
	}{
		{"kv/deleterange", map[string]any{"key": []byte(junk), "range_end": []byte("/junk0")}, &removed},
		{"kv/compaction", map[string]any{"physical": true}, nil},
		{"maintenance/defragment", map[string]any{}, nil},
		{"maintenance/alarm", map[string]any{"action": "GET"}, &raised},
	} {
		if step.path == "kv/compaction" {
			step.body["revision"] = removed.Header.Revision
		}
		if err := s.etcd(ctx, step.path, step.body, step.answer); err != nil {
			return fmt.Errorf("freeing etcd: %w", err)
		}
	}
	for _, alarm := range raised.Alarms {
		alarm["action"] = "DEACTIVATE"
		if err := s.etcd(ctx, "maintenance/alarm", alarm, nil); err != nil {
			return fmt.Errorf("freeing etcd: %w", err)
		}
	}
	return nil
}

// etcd calls etcd's own API.
func (s *Server) etcd(ctx context.Context, path string, body map[string]any, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.plane.Etcd.URL.String()+"/v3/"+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answers %s with %s: %s", path, response.Status, bytes.TrimSpace(said))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}
