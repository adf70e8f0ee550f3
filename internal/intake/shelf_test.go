package intake_test

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/caller"
)

// shelf is as much of an API server as a message may ask for. It keeps, for as
// long as one message is taken, what is asked for later: what a message holds is
// measured while it does, and is not to be the shelf's.
type shelf struct {
	client.Client
	meter   *meter                           // nil: nobody measures
	judge   func(*v1alpha1.AlertRemediation) // sees what comes; nil: nobody does
	mu      sync.Mutex
	kept    map[client.ObjectKey]*entry
	alike   map[client.ObjectKey][]client.ObjectKey // by namespace and fingerprint
	creates int                                     // that were tried, also in vain
}

type entry struct {
	fingerprint string
	startsAt    metav1.Time
	said        *v1alpha1.AlertStatus
}

func (s *shelf) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	s.meter.look()
	ar, key := obj.(*v1alpha1.AlertRemediation), client.ObjectKeyFromObject(obj)
	if s.judge != nil {
		s.judge(ar)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creates++
	if s.kept[key] != nil {
		return apierrors.NewAlreadyExists(kinds, key.Name)
	}
	if s.kept == nil {
		s.kept, s.alike = map[client.ObjectKey]*entry{}, map[client.ObjectKey][]client.ObjectKey{}
	}
	s.kept[key] = &entry{fingerprint: ar.Spec.Alert.Fingerprint, startsAt: ar.Spec.Alert.StartsAt}
	group := client.ObjectKey{Namespace: key.Namespace, Name: ar.Spec.Alert.Fingerprint}
	s.alike[group] = append(s.alike[group], key)
	return nil
}

func (s *shelf) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	s.meter.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[key] == nil {
		return apierrors.NewNotFound(kinds, key.Name)
	}
	*obj.(*v1alpha1.AlertRemediation) = s.object(key)
	return nil
}

func (s *shelf) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	s.meter.look()
	asked := (&client.ListOptions{}).ApplyOptions(opts)
	fingerprint, _ := asked.FieldSelector.RequiresExactMatch("spec.alert.fingerprint")
	s.mu.Lock()
	defer s.mu.Unlock()
	items := &list.(*v1alpha1.AlertRemediationList).Items
	for _, key := range s.alike[client.ObjectKey{Namespace: asked.Namespace, Name: fingerprint}] {
		*items = append(*items, s.object(key))
	}
	return nil
}

func (s *shelf) Status() client.SubResourceWriter { return shelfStatus{shelf: s} }

// object is what there is to be read of one that is kept.
func (s *shelf) object(key client.ObjectKey) v1alpha1.AlertRemediation {
	e := s.kept[key]
	ar := v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: types.UID(key.String())}}
	ar.Spec.Alert = v1alpha1.Alert{Source: v1alpha1.SourceAlertmanager, Fingerprint: e.fingerprint, StartsAt: e.startsAt}
	ar.Status.Alert = e.said.DeepCopy()
	return ar
}

type shelfStatus struct {
	client.SubResourceWriter
	shelf *shelf
}

func (s shelfStatus) Patch(_ context.Context, obj client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	s.shelf.meter.look()
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	s.shelf.kept[client.ObjectKeyFromObject(obj)].said = obj.(*v1alpha1.AlertRemediation).Status.Alert.DeepCopy()
	return nil
}

// porter lets in whoever says "in", to send about the shop and what has no namespace.
type porter struct{ meter *meter }

func (p porter) Identify(_ context.Context, token string) (caller.Caller, error) {
	switch token {
	case "in":
		return caller.Caller{}, nil
	case "down":
		return caller.Caller{}, http.ErrServerClosed
	}
	return caller.Caller{}, caller.ErrUnknown
}

func (p porter) May(_ context.Context, _ caller.Caller, right caller.Right) (bool, error) {
	p.meter.look()
	return slices.Contains([]string{"shop", "ops"}, right.Namespace), nil
}

// What a message may cost in memory. The largest, of 4 MiB and 10,000 alerts, may
// hold 45 MiB: four of its size are let in at once, and all that a replica has is 256.
const (
	// heldPerByte is what it may hold while it is taken, for each of its bytes.
	heldPerByte = 6
	// readPerByte is what reading it may cost, held or not, before anybody is asked
	// whether its sender may send it.
	readPerByte = 24
	// perAlert is what an alert may cost however short it is.
	perAlert = 2 << 10
	// slack is needed however short the message is.
	slack = 1 << 20
)

// meter measures what a message costs in memory while it is taken: afterwards
// all of it is free again, and nothing is to be seen.
type meter struct {
	mayRead, mayHold uint64

	mu         sync.Mutex
	before     runtime.MemStats
	read, held uint64
	looks      int
}

// newMeter measures from now on what is taken of a message with so many alerts that can be read.
func newMeter(body []byte, alerts int) *meter {
	bytes, each := uint64(len(body)), uint64(perAlert*alerts+slack)
	m := &meter{mayRead: readPerByte*bytes + each, mayHold: heldPerByte*bytes + each}
	if bytes > slack {
		runtime.GC() // else what is freed meanwhile would be held to our credit
	}
	runtime.ReadMemStats(&m.before)
	return m
}

// look is called whenever somebody is asked something. The first time the message
// has been read; after that it looks now and then, for all have to stop meanwhile.
func (m *meter) look() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.looks++; m.looks%50 == 1 {
		m.measure()
	}
}

func (m *meter) measure() {
	var now runtime.MemStats
	if runtime.ReadMemStats(&now); now.HeapAlloc > m.before.HeapAlloc+m.mayHold {
		runtime.GC() // what is only left over is not held
		runtime.ReadMemStats(&now)
	}
	if m.looks <= 1 { // 0: it came to nothing before anybody was asked
		m.read = now.TotalAlloc - m.before.TotalAlloc
	}
	m.held = max(m.held, now.HeapAlloc-min(m.before.HeapAlloc, now.HeapAlloc))
}

// check is called when the message has been answered.
func (m *meter) check(t *testing.T) {
	t.Helper()
	m.measure()
	if m.read > m.mayRead {
		t.Errorf("reading the message took %d bytes, which may be %d", m.read, m.mayRead)
	}
	if m.held > m.mayHold {
		t.Errorf("the message held %d bytes, which may be %d", m.held, m.mayHold)
	}
}
