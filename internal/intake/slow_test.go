package intake_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubernaut/kubernaut/internal/intake"
)

// listening is an answer to who is heard over a connection, as a server's is:
// how long is listened can be bounded.
type listening struct {
	*httptest.ResponseRecorder
	net.Conn
}

func (l listening) Write(answer []byte) (int, error) { return l.ResponseRecorder.Write(answer) }

// TestABodyThatIsSlowInComingIsNotWaitedFor: Alertmanager is told in time to send
// the message again, and its place is another's.
func TestABodyThatIsSlowInComingIsNotWaitedFor(t *testing.T) {
	rows := map[string]string{
		"none of it":         "",
		"the beginning only": `{"version":"4","alerts":[`,
	}
	for name, arrives := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer func() { _ = ours.Close() }()
				go func() { _, _ = theirs.Write([]byte(arrives)) }()
				handler := plain(&shelf{}, nil)
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, intake.Path, ours)
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer in")
				w, sent := httptest.NewRecorder(), time.Now()
				handler.ServeHTTP(listening{ResponseRecorder: w, Conn: ours}, req)

				if took := time.Since(sent); took != 8*time.Second {
					t.Errorf("it is answered after %s", took)
				}
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" ||
					strings.TrimSpace(w.Body.String()) != `{"error":"the message did not arrive in time"}` {
					t.Errorf("it is answered %d %s %v", w.Code, w.Body, w.Header())
				}
				if status := posted(t, handler, `{"version":"4","alerts":[]}`); status != http.StatusOK {
					t.Errorf("the next is answered %d", status)
				}
			})
		})
	}
}

// TestABodyThatBreaksOffIsAFaultOfItsSender: it is not told to come again.
func TestABodyThatBreaksOffIsAFaultOfItsSender(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = theirs.Write([]byte(`{"version":"4"`))
		_ = ours.Close()
	}()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, intake.Path, ours)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer in")
	w := httptest.NewRecorder()
	plain(&shelf{}, nil).ServeHTTP(w, req)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "broke off") {
		t.Errorf("it is answered %d %s", w.Code, w.Body)
	}
}
