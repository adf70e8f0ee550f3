package alert

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"
)

var fingerprintForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Identity returns the fingerprint that was sent with the alert or, where there
// is none of the right form, the one its labels have.
func (a Alert) Identity() string {
	if fingerprintForm.MatchString(a.Fingerprint) {
		return a.Fingerprint
	}
	return Fingerprint(a.Labels)
}

// Fingerprint returns the hash of a set of labels as Alertmanager computes it:
// FNV-1a over the sorted pairs, each string followed by a byte that UTF-8 has no
// use for.
func Fingerprint(labels map[string]string) string {
	sum := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		_, _ = io.WriteString(sum, name)
		_, _ = sum.Write([]byte{0xff})
		_, _ = io.WriteString(sum, labels[name])
		_, _ = sum.Write([]byte{0xff})
	}
	return fmt.Sprintf("%016x", sum.Sum64())
}

// ObjectName returns the name of the object that stands for one firing of an
// alert. The same firing has the same name wherever and whenever it is asked
// for, so that a repeated delivery finds what the first one made.
func ObjectName(cluster string, labels map[string]string, startsAt time.Time) string {
	sum := sha256.New()
	write := func(s string) { // with its length, so that no two inputs look alike
		_ = binary.Write(sum, binary.BigEndian, uint64(len(s)))
		_, _ = io.WriteString(sum, s)
	}
	write(cluster)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		write(name)
		write(labels[name])
	}
	write(startsAt.UTC().Format(time.RFC3339Nano))
	return "ar-" + hex.EncodeToString(sum.Sum(nil))[:16]
}
