package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Age makes an object of one of Kubernetes' namespaced kinds as old as given: it
// was created, and apart from its status last written, so long ago. Age writes to
// etcd, because the API server accepts none of these times from a client.
func (s *Server) Age(ctx context.Context, obj client.Object, created, written time.Duration) {
	s.tb.Helper()
	now := time.Now()
	err := s.changeStored(ctx, obj, func(stored client.Object) {
		stored.SetCreationTimestamp(metav1.NewTime(now.Add(-created)))
		fields := stored.GetManagedFields()
		for i := range fields {
			if fields[i].Subresource == "" {
				fields[i].Time = new(metav1.NewTime(now.Add(-written)))
			}
		}
		stored.SetManagedFields(fields)
	})
	if err != nil {
		s.tb.Fatalf("changing the age of %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
	}
}

// changeStored changes an object in etcd, which nothing else may write to at that
// moment, and reads it again.
func (s *Server) changeStored(ctx context.Context, obj client.Object, change func(client.Object)) error {
	key, err := s.storageKey(obj)
	if err != nil {
		return err
	}
	var found struct {
		Entries []struct {
			Value []byte `json:"value"`
		} `json:"kvs"`
	}
	if err := s.etcd(ctx, "kv/range", map[string]any{"key": key}, &found); err != nil {
		return err
	}
	if len(found.Entries) != 1 {
		return fmt.Errorf("etcd has %d values at %s, want 1", len(found.Entries), key)
	}
	codec := protobuf.NewSerializer(s.Scheme, s.Scheme)
	decoded, _, err := codec.Decode(found.Entries[0].Value, nil, nil)
	if err != nil {
		return fmt.Errorf("decoding the value at %s: %w", key, err)
	}
	stored, ok := decoded.(client.Object)
	if !ok {
		return fmt.Errorf("the value at %s is a %T and not an object", key, decoded)
	}
	change(stored)
	var encoded bytes.Buffer
	if err := codec.Encode(stored, &encoded); err != nil {
		return fmt.Errorf("encoding the value at %s: %w", key, err)
	}
	if err := s.etcd(ctx, "kv/put", map[string]any{"key": key, "value": encoded.Bytes()}, nil); err != nil {
		return err
	}
	return s.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
}

// storageKey returns the key that the API server stores an object at.
func (s *Server) storageKey(obj client.Object) ([]byte, error) {
	gvk, err := apiutil.GVKForObject(obj, s.Scheme)
	if err != nil {
		return nil, err
	}
	mapping, err := s.Client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "/registry/%s/%s/%s", mapping.Resource.Resource, obj.GetNamespace(), obj.GetName()), nil
}
