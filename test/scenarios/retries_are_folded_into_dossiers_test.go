package scenarios

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// An interrogation that fails, is sent again, and a calculation, with the RPN
// killed in between, are one dossier: the key is kept over the restart. Another
// establishment's are another one. The log says nothing of it.
func TestRetriesAreFoldedIntoDossiers(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("journal", "seal: 100ms"), nation.Section("indicators", "every: 50ms"))
	chu, other := n.Etablissement(), n.Etablissement()
	n.AMC("bleue").Answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	chu.Send(roc.IDB, "bleue").WantRefused(roc.AMCNotSOAP)
	n.AMC("bleue").Answers(nil)
	chu.Send(roc.IDB, "bleue").WantAnswer()
	n.Crash()
	chu.Send(roc.CLC, "bleue").WantAnswer()
	other.Send(roc.CLC, "bleue").WantAnswer()
	followed(t, n)
	var f map[string]any
	if err := json.Unmarshal([]byte(rpn(t, 0, "indicators", "show", "--store", n.File("rpn/state/indicateurs.db"), "--json")), &f); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]float64{
		"dossiers": 2, "part_dossiers_premier_essai": 0.5, "part_dossiers_aboutis": 1, "essais_par_dossier": 2, "essais_par_demande": 4. / 3,
		"dossiers_idb": 1, "dossiers_clc": 2, "part_clc_sans_idb": 0.5, "part_idb_sans_suite": 0,
	} {
		if f[id] != want {
			t.Errorf("%s is %v, want %v", id, f[id], want)
		}
	}
}
