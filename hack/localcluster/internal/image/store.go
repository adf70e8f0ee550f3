package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Store keeps images in the cache: contents by digest, shared by all sets, and a
// file per set that says which digest each reference stands for.
type Store struct{ Dir string }

func (s Store) blobs() string { return filepath.Join(s.Dir, "blobs") }

func (s Store) blob(h v1.Hash) string { return filepath.Join(s.blobs(), h.Algorithm, h.Hex) }

func (s Store) setFile(set string) string { return filepath.Join(s.Dir, "images-"+set+".json") }

// lockFile is held by whoever makes images, so that none is made twice.
func (s Store) lockFile() string { return filepath.Join(s.Dir, "images.lock") }

const scratchPrefix = ".packages-"

// removeScratch removes what one who was killed has downloaded. The lock must be held.
func (s Store) removeScratch() error {
	left, err := filepath.Glob(filepath.Join(s.Dir, scratchPrefix+"*"))
	if err != nil {
		return fmt.Errorf("cleaning cache: %w", err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cleaning cache: %w", err)
		}
	}
	return nil
}

// References returns the references of a complete set; ok is false if it has not been made.
func (s Store) References(set string) (refs map[string]v1.Hash, ok bool, err error) {
	b, err := os.ReadFile(s.setFile(set))
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading image set: %w", err)
	}
	if err := json.Unmarshal(b, &refs); err != nil {
		return nil, false, fmt.Errorf("reading image set %s: %w", s.setFile(set), err)
	}
	return refs, true, nil
}

// save writes the set last, so that its existence means that all of it is there.
func (s Store) save(set string, refs map[string]v1.Hash) error {
	b, err := json.MarshalIndent(refs, "", "  ")
	if err != nil {
		return fmt.Errorf("writing image set: %w", err)
	}
	return writeAtomically(s.setFile(set), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// add writes the image's layers, configuration and manifest.
func (s Store) add(img v1.Image) (v1.Hash, error) {
	layers, err := img.Layers()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("reading image: %w", err)
	}
	for _, l := range layers {
		if err := s.addLayer(l); err != nil {
			return v1.Hash{}, err
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("reading image: %w", err)
	}
	if _, err := s.addBytes(config); err != nil {
		return v1.Hash{}, err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("reading image: %w", err)
	}
	return s.addBytes(manifest)
}

func (s Store) addLayer(l v1.Layer) error {
	digest, err := l.Digest()
	if err != nil {
		return fmt.Errorf("reading layer: %w", err)
	}
	packed, err := l.Compressed()
	if err != nil {
		return fmt.Errorf("reading layer: %w", err)
	}
	defer func() { _ = packed.Close() }()
	return writeAtomically(s.blob(digest), func(w io.Writer) error {
		_, err := io.Copy(w, packed)
		return err
	})
}

func (s Store) addBytes(b []byte) (v1.Hash, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("hashing: %w", err)
	}
	return digest, writeAtomically(s.blob(digest), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func writeAtomically(path string, fill func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("making cache: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".partial-")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // of no effect once renamed
	err = errors.Join(fill(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
