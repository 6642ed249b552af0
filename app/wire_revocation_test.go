package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/nation"
)

// What would let nobody in after a restart is an error of `rpn check`, which
// names the file.
func TestCheckRefusesAListThatCannotServe(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{WithoutRPN: true})
	text, err := os.ReadFile(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	other := igc.New(igc.Options{Keys: keys})
	file := func(name string, list []byte) string {
		name = filepath.Join(n.Dir, name)
		if list != nil {
			if err := os.WriteFile(name, list, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return name
	}
	for list, want := range map[string]string{
		file("absent.crl", nil):                                           "absent.crl",
		file("page.crl", []byte("<html>")):                                "is not a revocation list",
		file("stranger.crl", other.CRL(igc.EtablissementTLS, igc.List{})): "in no trust store",
	} {
		with := filepath.Join(n.Dir, filepath.Base(list)+".yaml")
		if err := os.WriteFile(with, []byte(strings.Replace(string(text), "revocation:\n", "revocation:\n  lists: ["+list+"]\n", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Read(with)
		if err != nil {
			t.Fatal(err)
		}
		_, err = checked(t, app.Options{Config: c})
		var said *config.SetupError
		if !errors.As(err, &said) || !strings.Contains(said.What, list) || !strings.Contains(said.What, want) || said.Remedy == "" {
			t.Errorf("%s: %v, want %q", list, err, want)
		}
	}
}
