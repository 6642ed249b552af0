package scenarios

import (
	"bytes"
	"encoding/pem"
	"os"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Our leaf without its intermediate, or with another CA's: peers that hold the
// root alone come in all the same.
func TestOurChainIsCompletedFromTheTrustStore(t *testing.T) {
	t.Parallel()
	end := []byte("-----END CERTIFICATE-----\n")
	n := nation.New(t, nation.NotStarted)
	file := n.File("rpn/serveur.pem")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	leaf := good[:bytes.Index(good, end)+len(end)]
	wrong := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.PKI.Intermediates(igc.EtablissementSignature)[0].Raw})
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(leaf)
	n.Start()
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	write(append(bytes.Clone(leaf), wrong...))
	nation.Run(t, "reload", "--config", n.ConfigFile()).WantExit(0)
	chu.Hangup()
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
