package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/message"
)

func TestTheWSDLIsWrittenWithoutTheRPN(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]message.WSDLForm{
		"wsdl":                         {},
		"wsdl --version v2":            {Version: 2},
		"wsdl --version V1 --soap 1.1": {Version: 1, SOAP11: true},
	} {
		code, out, errs := runRPN(t, strings.Fields(line)...)
		if code != 0 || errs != "" || out != string(message.WSDL(want, "https://rpn.example/roc")) {
			t.Errorf("rpn %s: exit %d, %s", line, code, errs)
		}
	}
	for _, line := range []string{"wsdl --version v3", "wsdl --soap 1.2", "wsdl --endpoint rpn", "wsdl --dir x --version v1", "wsdl --dir x --amc 12", "wsdl --dir x --caller 12"} {
		if code, _, errs := runRPN(t, strings.Fields(line)...); code != exitUsage || errs == "" {
			t.Errorf("rpn %s: exit %d, want 2 and a reason", line, code)
		}
	}
}

// Everything is in one folder, and what was edited in it stays.
func TestTheFolderOfTheWSDLKeepsWhatWasEdited(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "wsdl")
	code, out, errs := runRPN(t, "wsdl", "--dir", dir)
	if code != 0 || !strings.Contains(out, "6 WSDL, 11 schémas, 18 exemples") {
		t.Fatalf("exit %d: %s %s", code, out, errs)
	}
	edited := filepath.Join(dir, "exemples", "clc-v2-soap12.xml")
	if err := os.WriteFile(edited, []byte("edited"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runRPN(t, "wsdl", "--dir", dir); code != 0 || !strings.Contains(out, " 0 exemples") {
		t.Errorf("again: exit %d, %s", code, out)
	}
	if b, err := os.ReadFile(edited); err != nil || string(b) != "edited" {
		t.Errorf("the edited sample is %q (%v)", b, err)
	}
}
