package intake_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// slow is an Alertmanager that answers once it is let.
type slow struct {
	asked chan struct{}
	let   chan struct{}
}

func (s slow) Group(ctx context.Context, _ string, _ map[string]string) ([]alert.Item, error) {
	s.asked <- struct{}{}
	select {
	case <-s.let:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestFewGroupsAreFetchedAtOnce(t *testing.T) {
	groups := slow{asked: make(chan struct{}, 3), let: make(chan struct{})}
	handler := plain(&shelf{}, groups)
	var taken sync.WaitGroup
	for range 2 {
		taken.Go(func() {
			if status := posted(t, handler, `{"version":"4","alerts":[],"truncatedAlerts":1}`); status != http.StatusOK {
				t.Errorf("a message whose group is fetched is answered %d", status)
			}
		})
		<-groups.asked
	}
	if status := posted(t, handler, `{"version":"4","alerts":[],"truncatedAlerts":1}`); status != http.StatusServiceUnavailable {
		t.Errorf("a third message that left something out is answered %d", status)
	}
	if status := posted(t, handler, `{"version":"4","alerts":[]}`); status != http.StatusOK {
		t.Errorf("a message that left nothing out is answered %d", status)
	}
	close(groups.let)
	taken.Wait()
	if status := posted(t, handler, `{"version":"4","alerts":[],"truncatedAlerts":1}`); status != http.StatusOK {
		t.Errorf("a message after them is answered %d", status)
	}
}

// broken panics at the first write.
type broken struct{ shelf }

func (*broken) Create(context.Context, client.Object, ...client.CreateOption) error {
	panic("a fault of ours")
}

func TestAPanicIsWhereTheServerLooks(t *testing.T) {
	defer func() {
		said, _ := recover().(string)
		if !strings.Contains(said, "a fault of ours") || !strings.Contains(said, "overload_test.go") {
			t.Errorf("the handler's own goroutine panics with %q", said)
		}
	}()
	posted(t, plain(&broken{}, nil), `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A","namespace":"shop"},"startsAt":"2026-03-01T03:00:00Z"}]}`)
}

func plain(c client.Client, groups intake.Groups) http.Handler {
	return intake.New(intake.Cluster{Client: c, Live: c, Events: events.NewFakeRecorder(100)}, intake.Door{Callers: porter{}}, groups,
		clocktesting.NewFakePassiveClock(now), intake.Settings{Namespace: "ops"}, prometheus.NewRegistry())
}

func posted(t *testing.T, handler http.Handler, body string) int {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, intake.Path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer in")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w.Code
}
