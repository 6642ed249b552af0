package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Unit says what a value is a number of.
type Unit string

// The units.
const (
	Exchanges Unit = "échanges"
	Share     Unit = "part"    // between 0 and 1
	Seconds   Unit = "s"       // with decimals
	Bytes     Unit = "octets"  //
	PerOther  Unit = "rapport" // one count over another
)

// A Card defines one figure. Its texts are in French.
type Card struct {
	ID          string // for JSON and headings; it never changes
	Name        string
	Unit        Unit
	Numerator   string
	Denominator string // "": none

	Fields  string // of the record (docs/record.md) that it comes from
	Version int    // of the definition
	Of      func(*Sum) (value float64, known bool)
}

// Format is the value of a card for people, with its unit: "4,1 %".
func (c *Card) Format(s *Sum) string {
	v, known := c.Of(s)
	switch {
	case !known:
		return "-"
	case c.Unit == Share:
		return strings.Replace(fmt.Sprintf("%.1f %%", 100*v), ".", ",", 1)
	}
	text := number(c.Unit, v, known)
	if c.Unit == Seconds || c.Unit == Bytes {
		text += " " + string(c.Unit)
	}
	return text
}

// A Sum is what the cards are computed from: all that the store holds of one
// question, by outcome, owner and service.
type Sum struct {
	All       store.Counts
	byCode    map[string]*store.Counts
	byOwner   map[roc.Responsable]*store.Counts
	byService map[roc.Service]*store.Counts
}

// Dimensions are those that the rows of a Sum must keep apart.
var Dimensions = []store.Dimension{store.ByCode, store.ByOwner, store.ByService}

// SumOf sums rows that keep Dimensions apart.
func SumOf(rows []store.Row) *Sum {
	s := &Sum{byCode: map[string]*store.Counts{}, byOwner: map[roc.Responsable]*store.Counts{}, byService: map[roc.Service]*store.Counts{}}
	for i := range rows {
		r := &rows[i]
		for _, c := range []*store.Counts{&s.All, of(s.byCode, r.Code), of(s.byOwner, r.Owner), of(s.byService, r.Service)} {
			c.Add(&r.Counts)
		}
	}
	return s
}

func of[K comparable](m map[K]*store.Counts, k K) *store.Counts {
	if m[k] == nil {
		m[k] = &store.Counts{}
	}
	return m[k]
}

func (s *Sum) code(c string) int64           { return exchanges(s.byCode[c]) }
func (s *Sum) owner(o roc.Responsable) int64 { return exchanges(s.byOwner[o]) }
func (s *Sum) service(v roc.Service) int64   { return exchanges(s.byService[v]) }

// refused counts the refusals of the RPN.
func (s *Sum) refused() (n int64) {
	for code, c := range s.byCode {
		if strings.HasPrefix(code, "RPN") {
			n += c.Exchanges
		}
	}
	return n
}

func exchanges(c *store.Counts) int64 {
	if c == nil {
		return 0
	}
	return c.Exchanges
}

// ratio is unknown where there is nothing to divide by.
func ratio(n, of int64) (float64, bool) {
	if of == 0 {
		return 0, false
	}
	return float64(n) / float64(of), true
}

// What more than one card says.
const (
	allExchanges = "tous les échanges"
)

func count(id, name, what, fields string, n func(*Sum) int64) Card {
	return Card{ID: id, Name: name, Unit: Exchanges, Numerator: what, Fields: fields, Version: 1,
		Of: func(s *Sum) (float64, bool) { return float64(n(s)), true }}
}

func share(id, name, what, fields string, n func(*Sum) int64) Card {
	return Card{ID: id, Name: name, Unit: Share, Numerator: what, Denominator: allExchanges, Fields: fields, Version: 1,
		Of: func(s *Sum) (float64, bool) { return ratio(n(s), s.All.Exchanges) }}
}

func byOwner(o roc.Responsable, whose string) Card {
	return share("part_non_abouti_"+string(o), "Part non aboutie "+whose, "échanges non aboutis dont la suite revient à : "+string(o), "outcome, responsable",
		func(s *Sum) int64 { return s.owner(o) })
}

func quantile(part string, name, what, fields string, q float64, d func(*store.Counts) *store.Durations) Card {
	p := fmt.Sprintf("p%.0f", q*100)
	return Card{ID: p + "_" + part, Name: fmt.Sprintf("%s (%s)", name, p), Unit: Seconds, Fields: fields, Version: 1,
		Numerator: fmt.Sprintf("durée que %.0f %% des échanges ne dépassent pas : %s (à 1 %% près)", q*100, what),
		Of: func(s *Sum) (float64, bool) {
			x := d(&s.All)
			return x.Quantile(q).Seconds(), x.Count() > 0
		}}
}

// Cards lists every card, in the order of the pages.
func Cards() []Card {
	total := func(c *store.Counts) *store.Durations { return &c.Total }
	caller := func(c *store.Counts) *store.Durations { return &c.AtCaller }
	rpn := func(c *store.Counts) *store.Durations { return &c.InRPN }
	amc := func(c *store.Counts) *store.Durations { return &c.AtAMC }
	within := func(id string, limit time.Duration, n func(*store.Counts) int64) Card {
		return share(id, fmt.Sprintf("Part en %.0f s au plus", limit.Seconds()), fmt.Sprintf("échanges qui durent au plus %.0f s en tout", limit.Seconds()), "request_in, answer_out",
			func(s *Sum) int64 { return n(&s.All) })
	}
	cards := []Card{
		count("echanges", "Échanges", "messages reçus, quelle qu'en soit l'issue", "echange", func(s *Sum) int64 { return s.All.Exchanges }),
		count("reponses", "Réponses utilisables", "échanges auxquels l'organisme (ou l'annuaire) a répondu sans erreur", "outcome = answered", func(s *Sum) int64 { return s.code(store.Answered) }),
		share("part_reponses", "Part de réponses utilisables", "échanges auxquels l'organisme (ou l'annuaire) a répondu sans erreur ; chaque essai compte", "outcome = answered", func(s *Sum) int64 { return s.code(store.Answered) }),
		share("part_refus", "Part de refus du RPN", "échanges refusés par un code RPN", "outcome = refused, code", (*Sum).refused),
		share("part_erreurs_amc", "Part d'erreurs de l'organisme", "échanges auxquels l'organisme (ou l'annuaire) a répondu par une erreur, transmise telle quelle", "outcome = far-fault", func(s *Sum) int64 { return s.code(store.FarFault) }),
		share("part_abandons", "Part d'abandons", "échanges dont l'appelant est parti avant l'issue", "outcome = abandoned", func(s *Sum) int64 { return s.code(store.Abandoned) }),
		byOwner(roc.ByEtablissement, "du fait de l'établissement"),
		byOwner(roc.ByAMC, "du fait de l'organisme"),
		byOwner(roc.ByAnnuaire, "du fait de l'annuaire"),
		byOwner(roc.ByRPN, "du fait du RPN"),
		byOwner(roc.ByReseau, "du fait du réseau"),
		count("non_remis", "Réponses non remises", "réponses prêtes que l'appelant n'a pas reçues", "enregistrement rectificatif write-failed ou caller-left", func(s *Sum) int64 { return s.All.Undelivered }),
		count("signatures_mauvaises", "Réponses mal signées", "réponses dont la signature n'est pas bonne", "answer_check, ou enregistrement rectificatif answer-checked", func(s *Sum) int64 { return s.All.BadAnswers }),
		share("part_rejoues", "Part de messages rejoués", "échanges dont la signature était déjà venue", "replayed", func(s *Sum) int64 { return s.All.Replayed }),
		within("part_2s", 2*time.Second, func(c *store.Counts) int64 { return c.Within2s }),
		within("part_5s", 5*time.Second, func(c *store.Counts) int64 { return c.Within5s }),
		within("part_20s", 20*time.Second, func(c *store.Counts) int64 { return c.Within20s }),
		quantile("total", "Durée totale", "du premier octet lu à la réponse prête", "request_in, answer_out", 0.50, total),
		quantile("total", "Durée totale", "du premier octet lu à la réponse prête", "request_in, answer_out", 0.95, total),
		quantile("total", "Durée totale", "du premier octet lu à la réponse prête", "request_in, answer_out", 0.99, total),
		quantile("appelant", "Dont l'établissement", "jusqu'à ce que l'établissement ait envoyé tout son message", "read_us", 0.50, caller),
		quantile("appelant", "Dont l'établissement", "jusqu'à ce que l'établissement ait envoyé tout son message", "read_us", 0.95, caller),
		quantile("rpn", "Dont le RPN", "total, moins la lecture, l'attente de l'annuaire et celle de l'organisme ; résolution DNS comprise", "total_us, read_us, annuaire_us, amc_us", 0.50, rpn),
		quantile("rpn", "Dont le RPN", "total, moins la lecture, l'attente de l'annuaire et celle de l'organisme ; résolution DNS comprise", "total_us, read_us, annuaire_us, amc_us", 0.95, rpn),
		quantile("amc", "Dont l'organisme", "attente de l'organisme, connexion comprise, des échanges qui lui ont été transmis", "amc_us", 0.50, amc),
		quantile("amc", "Dont l'organisme", "attente de l'organisme, connexion comprise, des échanges qui lui ont été transmis", "amc_us", 0.95, amc),
		quantile("amc", "Dont l'organisme", "attente de l'organisme, connexion comprise, des échanges qui lui ont été transmis", "amc_us", 0.99, amc),
	}
	for _, service := range roc.AMCServices {
		code := service.String()
		cards = append(cards, count(strings.ToLower(code), service.Exchanges()+" ("+code+")", "échanges "+code, "service", func(s *Sum) int64 { return s.service(service) }))
	}
	return append(cards, []Card{
		{ID: "clc_par_idb", Name: "Calculs par interrogation", Unit: PerOther, Numerator: "échanges CLC", Denominator: "échanges IDB", Fields: "service", Version: 1,
			Of: func(s *Sum) (float64, bool) { return ratio(s.service(roc.CLC), s.service(roc.IDB)) }},
		{ID: "octets_envoyes", Name: "Octets des requêtes", Unit: Bytes, Numerator: "octets des messages reçus", Fields: "request_bytes", Version: 1,
			Of: func(s *Sum) (float64, bool) { return float64(s.All.RequestBytes), true }},
		{ID: "octets_recus", Name: "Octets des réponses", Unit: Bytes, Numerator: "octets des réponses, les nôtres comprises", Fields: "answer_bytes", Version: 1,
			Of: func(s *Sum) (float64, bool) { return float64(s.All.AnswerBytes), true }},
	}...)
}

// Common is what all cards share, in French.
const Common = "Fenêtre : des jours entiers de l'heure de Paris (ou des heures). Fraîcheur : le RPN met les chiffres à jour de lui-même, jusqu'au dernier sceau du journal, en moins d'une minute. " +
	"Source : le journal scellé et rien d'autre ; `rpn indicators rebuild` recalcule tout. Un appelant jamais identifié compte sous l'établissement « - », un message dont l'organisme n'a pas été lu sous l'organisme « - »."

// Markdown writes the cards for docs/indicators.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Indicateurs : les fiches\n\nPage écrite par `go test ./indicators/report -update` d'après la table `Cards` de `indicators/report` : même fiche, même nombre, dans les CSV, le JSON et les pages.\n\n")
	b.WriteString(Common + "\n\n| champ | indicateur | unité | numérateur | dénominateur | vient de | version |\n|---|---|---|---|---|---|---|\n")
	for _, c := range Cards() {
		d := c.Denominator
		if d == "" {
			d = "-"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | `%s` | %d |\n", c.ID, c.Name, c.Unit, c.Numerator, d, c.Fields, c.Version)
	}
	return b.String()
}
