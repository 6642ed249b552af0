package report

import (
	"fmt"
	"strings"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

const ofDossierFields = "dossier, request_in, service, outcome, enregistrement rectificatif"

// ofDossiers is a figure of dossiers; unknown where they were not asked for.
func ofDossiers(id, name string, unit Unit, numerator, denominator string, of func(*store.Dossiers) (float64, bool)) Card {
	return Card{ID: id, Name: name, Unit: unit, Numerator: numerator, Denominator: denominator, Fields: ofDossierFields, Version: 1,
		Of: func(s *Sum) (float64, bool) {
			if s.Dossiers == nil {
				return 0, false
			}
			return of(s.Dossiers)
		}}
}

// dossierCards are the cards of dossiers.
func dossierCards() []Card {
	const dossiers, requests = "dossiers", "demandes : un échange et ceux du même service qui le répètent jusqu'à une réponse utilisable et remise"
	share := func(id, name, numerator, denominator string, n, of func(*store.Dossiers) int64) Card {
		return ofDossiers(id, name, Share, numerator, denominator, func(d *store.Dossiers) (float64, bool) { return ratio(n(d), of(d)) })
	}
	per := func(id, name, numerator, denominator string, n, of func(*store.Dossiers) int64) Card {
		return ofDossiers(id, name, PerOther, numerator, denominator, func(d *store.Dossiers) (float64, bool) { return ratio(n(d), of(d)) })
	}
	all := func(d *store.Dossiers) int64 { return d.Dossiers }
	asked := func(d *store.Dossiers) int64 { return d.Requests().Requests }
	tries := func(d *store.Dossiers) int64 { return d.Requests().Tries }
	with := func(v roc.Service) func(*store.Dossiers) int64 {
		return func(d *store.Dossiers) int64 { return d.With[v] }
	}
	cards := []Card{
		ofDossiers("dossiers", "Dossiers", Folders, "ensembles d'échanges d'un établissement pour un même adhérent (organisme, convention, CSR et domaine), dans une semaine", "", func(d *store.Dossiers) (float64, bool) {
			return float64(d.Dossiers), true
		}),
		share("part_dossiers_premier_essai", "Dossiers aboutis au premier essai", "dossiers dont chaque demande a sa réponse utilisable au premier essai", dossiers, func(d *store.Dossiers) int64 { return d.AllAtFirst }, all),
		share("part_dossiers_aboutis", "Dossiers aboutis après relances", "dossiers dont chaque demande finit par une réponse utilisable", dossiers, func(d *store.Dossiers) int64 { return d.AllAnswered }, all),
		per("essais_par_dossier", "Échanges par dossier", "échanges des dossiers", dossiers, tries, all),
		share("part_demandes_premier_essai", "Demandes abouties au premier essai", "demandes dont le premier échange a une réponse utilisable", requests, func(d *store.Dossiers) int64 { return d.Requests().AtFirst }, asked),
		share("part_demandes_abouties", "Demandes abouties après relances", "demandes qui finissent par une réponse utilisable", requests, func(d *store.Dossiers) int64 { return d.Requests().Answered }, asked),
		per("essais_par_demande", "Essais par demande", "échanges des dossiers", requests, tries, asked),
	}
	for _, v := range roc.AMCServices {
		code := v.String()
		cards = append(cards, ofDossiers("dossiers_"+strings.ToLower(code), "Dossiers avec une réponse "+code, Folders, "dossiers qui ont une réponse utilisable à "+code, "", func(d *store.Dossiers) (float64, bool) {
			return float64(with(v)(d)), true
		}))
	}
	cards = append(cards,
		share("part_clc_sans_idb", "Calculs sans interrogation", "dossiers dont aucune interrogation (IDB) n'a eu de réponse avant leur premier calcul (CLC)", "dossiers avec une réponse CLC", func(d *store.Dossiers) int64 { return d.CLCWithoutIDB }, with(roc.CLC)),
		share("part_idb_sans_suite", "Interrogations sans suite", "dossiers où ni simulation ni calcul n'est demandé après la première réponse à une interrogation (IDB)", "dossiers avec une réponse IDB", func(d *store.Dossiers) int64 { return d.IDBAlone }, with(roc.IDB)),
	)
	for _, percent := range []int{50, 95} {
		cards = append(cards, ofDossiers(fmt.Sprintf("p%d_idb_clc", percent), fmt.Sprintf("De l'interrogation au calcul (p%d)", percent), Seconds,
			fmt.Sprintf("durée que %d %% des dossiers ne dépassent pas : de la première réponse IDB à la première réponse CLC qui la suit, demande à demande (à 1 %% près)", percent), "",
			func(d *store.Dossiers) (float64, bool) {
				return d.ToCLC.Quantile(percent).Seconds(), d.ToCLC.Count() > 0
			}))
	}
	return cards
}

// AboutDossiers is what a dossier is, in French.
const AboutDossiers = "Dossier : les échanges d'un établissement pour un même numéro d'adhérent (même organisme, convention, CSR et domaine), reliés par une empreinte dont la clé est supprimée chaque lundi à minuit (`indicators.dossiers`, en jours). " +
	"Demandez des semaines entières : un séjour à cheval sur deux semaines compte pour deux dossiers, et d'un dossier entamé avant la période seul compte ce qui est dedans. Un adhérent n'est pas un patient : les membres d'une famille peuvent avoir le même numéro. " +
	"Ce qui est refusé avant que le message soit lu et vérifié n'est d'aucun dossier. D'un établissement, d'un organisme et d'un jour, les 50 000 premiers échanges de chaque instance sont reliés ; les suivants ne sont d'aucun dossier. Une réponse compte si elle est sans erreur et remise à l'appelant ; une erreur fonctionnelle de l'organisme dans une réponse réussie n'est pas lue."

// NotBuilt is what the list of indicators has and no card does, and why, in French.
const NotBuilt = "Ce qui n'a pas de fiche. Le journal ne le dit pas : les versions de logiciel (le GAP du registre en tient lieu) ; la fraîcheur et les mouvements des lignes de l'annuaire ; les jours qui restent aux certificats et la fin des autorités (`rpn certificates` les donne) ; le parcours de raccordement (le registre en a les dates). " +
	"Les comptes gardés ne le disent pas : les échanges en cours à la fois chez un organisme et la part du quota au plus fort, qui demandent des comptes plus fins que cinq minutes. Se lit déjà autrement : la part sous le délai heure par heure (les pages de l'organisme), le budget d'erreur (Grafana), les couples qui ont le plus changé (la situation nationale)."
