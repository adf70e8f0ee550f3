package intake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	// signedFor is how old a signature may be, and how far ahead the sender's clock.
	signedFor = 5 * time.Minute
	// minSecret is the shortest secret that is one.
	minSecret = 16
)

// Signatures are those of Grafana's webhooks: HMAC-SHA256 of the timestamp, a
// colon and the body, in hex. A signed message may be about any namespace.
type Signatures struct {
	// Header that the signature is in.
	Header string
	// TimestampHeader that the seconds since 1970 are in. Without one a body can be
	// sent again by whoever saw it.
	TimestampHeader string
	// SecretFile is read for each message, so that it can be exchanged.
	SecretFile string
}

// on reports whether a request is signed, and signatures are believed.
func (s *Signatures) on(r *http.Request) bool {
	return s != nil && r.Header.Get(s.Header) != ""
}

// check returns why the signature of a body is not believed.
func (s *Signatures) check(r *http.Request, body []byte, now time.Time) *httpFault {
	secret, err := s.secret()
	if err != nil {
		return &httpFault{status: http.StatusServiceUnavailable, says: saysNoSignature, counts: answerRetry, cause: err}
	}
	var timestamp string
	if s.TimestampHeader != "" {
		timestamp = r.Header.Get(s.TimestampHeader)
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > signedFor {
			return &httpFault{status: http.StatusUnauthorized, says: saysBadSigned, counts: answerDenied}
		}
		timestamp += ":"
	}
	sum := hmac.New(sha256.New, secret)
	sum.Write([]byte(timestamp))
	sum.Write(body)
	got, err := hex.DecodeString(r.Header.Get(s.Header))
	if err != nil || !hmac.Equal(got, sum.Sum(nil)) { // in constant time
		return &httpFault{status: http.StatusUnauthorized, says: saysBadSigned, counts: answerDenied}
	}
	return nil
}

func (s *Signatures) secret() ([]byte, error) {
	raw, err := os.ReadFile(s.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("reading the secret of signatures: %w", err)
	}
	secret := bytes.TrimSpace(raw)
	if len(secret) < minSecret {
		return nil, fmt.Errorf("reading the secret of signatures: %s has fewer than %d bytes", s.SecretFile, minSecret)
	}
	return secret, nil
}
