package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every certificate comes in by roc.ParseCertificate: crypto/x509 alone takes one
// certificate in many forms, and a deny list or a memory would be passed by.
func TestEveryCertificateComesInByOneDoor(t *testing.T) {
	t.Parallel()
	doors := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		if strings.HasPrefix(rel, "internal/igc/") || strings.HasPrefix(rel, "test/") { // makes them; what tests read
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, call := range []string{"x509.ParseCertificate(", "x509.ParseCertificates("} {
			if !strings.Contains(string(text), call) {
				continue
			}
			if rel == "internal/roc/certificate.go" {
				doors++
				continue
			}
			t.Errorf("%s calls %s...): roc.ParseCertificate is the door", rel, call)
		}
		return nil
	})
	if err != nil || doors != 1 {
		t.Errorf("%d doors, %v", doors, err)
	}
}
