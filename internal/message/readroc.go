package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// ReadIDB reads an IDB request from its signed Body, for the insurer that
// answers it. The error is a *FieldError or a refusal.
func ReadIDB(c *xmlsig.Checked) (IDBRequest, error) {
	op, r, root, err := open(c, roc.IDB)
	if err != nil {
		return IDBRequest{}, err
	}
	q := IDBRequest{Version: op.Version, Demande: r.demande(root, op.Version)}
	if ctx := r.one(root, "contexte"); !ctx.absent() {
		q.Contexte = &Contexte{
			Nature:       r.must(ctx, "nature"),
			Debut:        r.day(ctx, "date_debut"),
			DureeMoyenne: r.number(ctx, "duree_moyenne_sejour"),
			Discipline:   r.text(ctx, "discipline_prestation"),
		}
	}
	return q, r.done()
}

// ReadCLC reads a CLC request from its signed Body, like ReadIDB.
func ReadCLC(c *xmlsig.Checked) (CLCRequest, error) {
	op, r, root, err := open(c, roc.CLC)
	if err != nil {
		return CLCRequest{}, err
	}
	q := CLCRequest{Version: op.Version, Demande: r.demande(root, op.Version), Sejour: r.sejour(root), Prestations: r.prestations(root)}
	return q, r.done()
}

// ReadSIM reads a SIM request from its signed Body, like ReadIDB.
func ReadSIM(c *xmlsig.Checked) (SIMRequest, error) {
	op, r, root, err := open(c, roc.SIM)
	if err != nil {
		return SIMRequest{}, err
	}
	q := SIMRequest{Version: op.Version, Demande: r.demande(root, op.Version), Sejour: r.sejour(root), Prestations: r.prestations(root)}
	return q, r.done()
}

// ReadANL reads an ANL request from its signed Body, like ReadIDB.
func ReadANL(c *xmlsig.Checked) (ANLRequest, error) {
	op, r, root, err := open(c, roc.ANL)
	if err != nil {
		return ANLRequest{}, err
	}
	q := ANLRequest{Version: op.Version, Demande: r.demande(root, op.Version)}
	annulation := r.need(root, "annulation")
	q.Reference = r.must(annulation, "reference")
	q.Motif = r.text(annulation, "motif")
	return q, r.done()
}

// open begins the reading of a signed request of that service.
func open(c *xmlsig.Checked, s roc.Service) (Operation, *reader, located, error) {
	body := c.Body()
	if body.IsZero() {
		return Operation{}, nil, located{}, roc.Refuse(roc.PartNotSigned, "the Body is not signed").Because(roc.BodyNotSigned)
	}
	op, ok := operationOf(body)
	if !ok || op.Service != s {
		return Operation{}, nil, located{}, roc.Refuse(roc.UnknownOperation, "not a request of %s", s).Because(roc.UnknownRequest)
	}
	return op, &reader{}, located{node: body}, nil
}

func (r *reader) demande(root located, v roc.Version) Demande {
	etablissement := r.need(root, "etablissement")
	d := Demande{
		Requete:      r.requete(r.need(root, "requete")),
		Adressage:    r.adressage(r.need(root, "adressage")),
		Beneficiaire: r.beneficiaire(r.need(root, "beneficiaire")),
		Etablissement: Etablissement{
			EJ: parsed(r, etablissement, "finess_ej", r.must(etablissement, "finess_ej"), roc.ParseFINESS),
			EG: parsed(r, etablissement, "finess_eg", r.text(etablissement, "finess_eg"), roc.ParseFINESS),
		},
	}
	if v == roc.V2 {
		d.Etablissement.Champ = r.must(etablissement, "champ")
		d.Etablissement.Statut = r.must(etablissement, "statut")
	}
	return d
}

// requete reads what is there: nothing depends on it.
func (r *reader) requete(p located) Requete {
	return Requete{
		Version:         r.text(p, "version"),
		Date:            parsed(r, p, "date_demande", r.text(p, "date_demande"), parseInstant),
		Editeur:         r.text(p, "editeur"),
		Logiciel:        r.text(p, "logiciel"),
		VersionLogiciel: r.text(p, "version_logiciel"),
	}
}

func (r *reader) adressage(p located) Adressage {
	return Adressage{
		AMC:        parsed(r, p, "numero_amc", r.must(p, "numero_amc"), roc.ParseNumeroAMC),
		Convention: parsed(r, p, "code_type_convention", r.text(p, "code_type_convention"), roc.ParseConvention),
		CSR:        parsed(r, p, "code_csr", r.text(p, "code_csr"), roc.ParseCSR),
		Domaine:    parsed(r, p, "domaine_conventionnel", r.must(p, "domaine_conventionnel"), roc.ParseDomaine),
	}
}

func (r *reader) beneficiaire(p located) Beneficiaire {
	return Beneficiaire{
		NumeroAdherent: r.must(p, "numero_adherent"),
		Nom:            r.must(p, "nom"),
		Prenom:         r.must(p, "prenom"),
		DateNaissance:  r.day(p, "date_naissance"),
		RangNaissance:  r.number(p, "rang_naissance"),
	}
}

func (r *reader) sejour(root located) *Sejour {
	p := r.one(root, "sejour")
	if p.absent() {
		return nil
	}
	return &Sejour{
		NumeroDossier: r.must(p, "numero_dossier"), Entree: r.day(p, "date_entree"),
		Sortie: day(parsed(r, p, "date_sortie", r.text(p, "date_sortie"), parseDay)),
	}
}

func (r *reader) prestations(root located) []Prestation {
	var list []Prestation
	r.all(r.need(root, "prestations"), "prestation", func(p located) {
		list = append(list, Prestation{
			Rang:     r.number(p, "rang"),
			Code:     r.must(p, "code"),
			Date:     r.day(p, "date"),
			Quantite: r.number(p, "quantite"),
			Total:    r.montant(p, "montant_total"),
			AMO:      r.montant(p, "montant_amo"),
		})
	})
	if len(list) == 0 {
		r.fail("prestations/prestation", "manque")
	}
	return list
}

// day returns a required date as we write it.
func (r *reader) day(p located, name string) string {
	return day(parsed(r, p, name, r.must(p, name), parseDay))
}
