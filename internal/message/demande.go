package message

import (
	"fmt"
	"io"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Demande is the common part of every ROC request (profile section 4).
// Builders write what it holds, right or wrong, so that tests can be wrong on
// purpose.
type Demande struct {
	Requete       Requete
	Etablissement Etablissement
	Adressage     Adressage
	Beneficiaire  Beneficiaire
}

// Requete says which software asks, and when.
type Requete struct {
	Version         string // "" writes R01
	Date            time.Time
	Editeur         string
	Logiciel        string // its authorisation number
	VersionLogiciel string
}

// Etablissement is who asks. Champ and Statut are written in V2 only.
type Etablissement struct {
	EJ     roc.FINESS
	EG     roc.FINESS // "" leaves it out
	Champ  string     // MCO, PSY, HAD or SMR
	Statut string     // EX_DG or EX_OQN
}

// Adressage is the routing part of a message, as the attestation prints it:
// AMC may be written in its short form. An empty field is left out.
type Adressage struct {
	AMC        roc.NumeroAMC
	Convention roc.Convention
	CSR        roc.CSR
	Domaine    roc.Domaine
}

// Beneficiaire is the patient. The RPN reads nothing of it but to make the link of
// a dossier (DossierKey); like roc.Content it cannot be printed.
type Beneficiaire struct {
	NumeroAdherent string
	Nom            string
	Prenom         string
	DateNaissance  string // "1980-02-29"
	RangNaissance  int    // 0 leaves it out
}

const masked = "[beneficiaire]"

// String gives nothing of the patient.
func (Beneficiaire) String() string { return masked }

// Format gives nothing of the patient, for every verb.
func (Beneficiaire) Format(s fmt.State, _ rune) { io.WriteString(s, masked) }

// MarshalText gives nothing of the patient (encoding/json, slog, yaml).
func (Beneficiaire) MarshalText() ([]byte, error) { return []byte(masked), nil }

func (d *Demande) write(w *writer, v roc.Version) {
	d.Requete.write(w)
	w.open("etablissement")
	w.element("finess_ej", string(d.Etablissement.EJ))
	w.optional("finess_eg", string(d.Etablissement.EG))
	if v == roc.V2 {
		w.element("champ", d.Etablissement.Champ)
		w.element("statut", d.Etablissement.Statut)
	}
	w.close("etablissement")
	w.open("adressage")
	d.Adressage.write(w)
	w.close("adressage")
	d.Beneficiaire.write(w)
}

func (r *Requete) write(w *writer) {
	version := r.Version
	if version == "" {
		version = "R01"
	}
	w.open("requete")
	w.element("version", version)
	w.element("date_demande", r.Date.Format("2006-01-02T15:04:05Z07:00"))
	w.element("editeur", r.Editeur)
	w.element("logiciel", r.Logiciel)
	w.element("version_logiciel", r.VersionLogiciel)
	w.close("requete")
}

func (a *Adressage) write(w *writer) {
	w.element("numero_amc", string(a.AMC))
	w.optional("code_type_convention", string(a.Convention))
	w.optional("code_csr", string(a.CSR))
	w.element("domaine_conventionnel", string(a.Domaine))
}

func (b *Beneficiaire) write(w *writer) {
	w.open("beneficiaire")
	w.element("numero_adherent", b.NumeroAdherent)
	w.element("nom", b.Nom)
	w.element("prenom", b.Prenom)
	w.element("date_naissance", b.DateNaissance)
	if b.RangNaissance != 0 {
		w.number("rang_naissance", b.RangNaissance)
	}
	w.close("beneficiaire")
}
