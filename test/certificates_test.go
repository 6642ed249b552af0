package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every certificate comes in by roc.ParseCertificate: crypto/x509 alone takes one
// certificate in many forms, and a deny list or a memory would be passed by.
func TestEveryCertificateComesInByOneDoor(t *testing.T) {
	t.Parallel()
	oneDoor(t, "internal/roc/certificate.go", "roc.ParseCertificate", "x509.ParseCertificate(", "x509.ParseCertificates(")
}

// Every PEM file comes in by trust.ReadPEM: what encoding/pem and crypto do not
// understand they pass over, and an authority or a list would vanish in silence.
func TestEveryPEMComesInByOneDoor(t *testing.T) {
	t.Parallel()
	oneDoor(t, "tlsconf/trust/pem.go", "trust.ReadPEM, ReadPair, ReadPool, ReadLists", "pem.Decode(", ".AppendCertsFromPEM(", "tls.X509KeyPair(", "tls.LoadX509KeyPair(")
}

// oneDoor looks for calls in every file of the product: only door makes them.
func oneDoor(t *testing.T, door, instead string, calls ...string) {
	t.Helper()
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
		for _, call := range calls {
			if !strings.Contains(string(text), call) {
				continue
			}
			if rel == door {
				doors++
				continue
			}
			t.Errorf("%s calls %s...): the door is %s", rel, call, instead)
		}
		return nil
	})
	if err != nil || doors != 1 {
		t.Errorf("%d doors, %v", doors, err)
	}
}

// Each sentence of docs/security/certificates.md names the test that proves it.
func TestEverySentenceAboutCertificatesNamesItsTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/security/certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	// A statement is a line of a table, an item of a list, or a paragraph.
	for _, statement := range statements(string(text)) {
		if !named.MatchString(statement) && !strings.Contains(statement, "`make ") {
			t.Errorf("no test is named for: %.120s", statement)
		}
	}
}

// statements are those of the sections of a page that has a list of tests.
func statements(page string) (all []string) {
	_, page, _ = strings.Cut(page, "\n## ")
	for _, block := range regexp.MustCompile(`\n(?:- |\d+\. |\| |\n)`).Split(page, -1) {
		block = strings.TrimSpace(block)
		if block == "" || strings.HasPrefix(block, "## ") || strings.HasPrefix(block, "1. What") || strings.Contains(block, "---|") || strings.HasSuffix(block, ":") || regexp.MustCompile(`^(what|memory) \|`).MatchString(block) {
			continue
		}
		all = append(all, block)
	}
	return all
}
