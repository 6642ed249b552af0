package scenarios

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// Profile section 5, mode transparent: the annuaire's signed answer as it came.
func TestASearchIsPassedToTheAnnuaireByteForByte(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	search := func(d *inner.Draft) {
		d.Body = func(d *inner.Draft) roc.Content {
			return message.SearchRequest{Requete: d.Demande.Requete, Adressage: d.Demande.Adressage}.Envelope(d.SOAP)
		}
		d.ContentType, d.SOAPAction = d.SOAP.ContentType(), new(string)
	}
	said := chu.Send(roc.IDB, "bleue", search)
	if said.Status != http.StatusOK || said.Origin() != roc.FromAnnuaire {
		t.Fatalf("got %s", said.Outcome)
	}
	for _, text := range []string{"roc.mutuelle-bleue.example", "SignatureValue"} {
		if !bytes.Contains(said.Body.Bytes(), []byte(text)) {
			t.Errorf("not the annuaire's signed answer:\n%s", said.Body.Bytes())
		}
	}
	n.Annuaire.Break(fictif.Down) // what it said serves again, asked with a signature or without
	for _, how := range [][]nation.Mutation{{search}, {search, inner.Unsigned}} {
		if again := chu.Send(roc.IDB, "bleue", how...); again.Origin() != roc.FromCache || !bytes.Equal(again.Body.Bytes(), said.Body.Bytes()) {
			t.Errorf("got %s", again.Outcome)
		}
	}
	// Down is a 503 without an envelope: silence, and nothing is remembered of this one.
	chu.Send(roc.IDB, "verte", search).WantRefused(roc.AnnuaireSilent)
	n.Annuaire.Break(fictif.SOAPFault)
	if r := chu.Send(roc.IDB, "verte", search); r.Status != http.StatusInternalServerError || r.Origin() != roc.FromAnnuaire {
		t.Errorf("a fault of the annuaire is carried as it came; got %s", r.Outcome)
	}
	n.AMC("bleue").WantReceived(0)
}
