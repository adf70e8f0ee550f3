package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestAnAPIServerThatDoesNotAnswerIsExplained(t *testing.T) {
	dialled := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://api.example:6443/api?timeout=1s", Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
	rows := map[string]struct {
		err  error
		want string
	}{
		"nobody listens":          {dialled(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "the API server at api.example:6443 refuses the connection: "},
		"no such name":            {dialled(&net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}), "the API server at api.example:6443 has a name that can't be looked up: "},
		"no answer in time":       {&url.Error{Op: "Get", URL: "https://api.example", Err: context.DeadlineExceeded}, "the API server at api.example does not answer in time: "},
		"no way to it":            {dialled(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "the API server at api.example:6443 can't be reached ("},
		"another's certificate":   {&url.Error{Op: "Get", URL: "https://api.example", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, "has a certificate that is not trusted (x509: certificate signed by unknown authority): "},
		"an address that is none": {&url.Error{Op: "Get", URL: "https://\x1b[2J", Err: errors.New("no\x1b[2J")}, "the API server that is asked can't be reached (no): "},
		"too many at once":        {apierrors.NewTooManyRequests("later", 1), "the API server is not well (later): try again; "},
		"a fault of its own":      {apierrors.NewInternalError(errors.New("etcd is away")), "the API server is not well ("},
		"what is nobody's fault":  {apierrors.NewConflict(schema.GroupResource{Resource: "wr"}, "a", errors.New("changed")), "Operation cannot be fulfilled"},
		"a refusal":               {apierrors.NewGenericServerResponse(http.StatusUnauthorized, "get", schema.GroupResource{}, "", "", 0, true), "the API server does not accept your credentials: log in again; "},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := explained(row.err).Error()
			if !strings.Contains(got, row.want) || strings.Contains(got, "\x1b") {
				t.Errorf("got %q, want %q in it", got, row.want)
			}
			if again := explained(explained(row.err)).Error(); again != got {
				t.Errorf("explained twice it is %q", again)
			}
		})
	}
}
