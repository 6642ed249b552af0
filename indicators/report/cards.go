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
	Folders   Unit = "dossiers"
	Sites     Unit = "établissements"
	Share     Unit = "part"    // between 0 and 1
	Seconds   Unit = "s"       // with decimals
	Bytes     Unit = "octets"  //
	PerOther  Unit = "rapport" // one count over another
	PerSecond Unit = "/s"      // exchanges in a second, with decimals
	Minutes   Unit = "min"     //
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
	if !known {
		return "-"
	}
	return c.format(v)
}

func percent(v float64) string {
	return strings.Replace(fmt.Sprintf("%.1f %%", 100*v), ".", ",", 1)
}

// FormatBand is a band of a card for people: "3,2 % à 4,1 % (médiane 3,5 %)".
func (c *Card) FormatBand(b Band) string {
	return c.format(b.Low) + " à " + c.format(b.High) + " (médiane " + c.format(b.Median) + ")"
}

func (c *Card) format(v float64) string {
	if c.Unit == Share {
		return percent(v)
	}
	text := number(c.Unit, v, true)
	if c.Unit == Seconds || c.Unit == Bytes || c.Unit == Minutes || c.Unit == PerSecond {
		text += " " + string(c.Unit)
	}
	return text
}

// A Sum is what the cards are computed from: all that the store holds of one
// question, by outcome, owner and service.
type Sum struct {
	All       store.Counts
	Windows   []store.Availability // of one insurer, by service; else none
	Dossiers  *store.Dossiers      // nil: not asked for
	Insurer   *Insurer             // of one insurer, with the register; else nil
	byCode    map[string]*store.Counts
	byOwner   map[roc.Responsable]*store.Counts
	byService map[roc.Service]*store.Counts
	byVersion map[roc.Version]*store.Counts
}

// Dimensions are those that the rows of a Sum must keep apart.
var Dimensions = []store.Dimension{store.ByCode, store.ByOwner, store.ByService, store.ByVersion}

// SumOf sums rows that keep Dimensions apart.
func SumOf(rows []store.Row) *Sum {
	s := &Sum{byCode: map[string]*store.Counts{}, byOwner: map[roc.Responsable]*store.Counts{}, byService: map[roc.Service]*store.Counts{}, byVersion: map[roc.Version]*store.Counts{}}
	for i := range rows {
		r := &rows[i]
		for _, c := range []*store.Counts{&s.All, of(s.byCode, r.Code), of(s.byOwner, r.Owner), of(s.byService, r.Service), of(s.byVersion, r.Version)} {
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
func (s *Sum) refused() int64 { return s.codes("RPN") }

// codes counts the refusals whose code begins like that.
func (s *Sum) codes(begin string) (n int64) {
	for code, c := range s.byCode {
		if strings.HasPrefix(code, begin) {
			n += c.Exchanges
		}
	}
	return n
}

// windows adds the windows of every service.
func (s *Sum) windows() (sum store.Availability) {
	for _, w := range s.Windows {
		sum.Windows += w.Windows
		sum.Sent += w.Sent
		sum.Measured += w.Measured
		sum.Out += w.Out
		sum.FailedOut += w.FailedOut
		sum.Peak = max(sum.Peak, w.Peak)
	}
	return sum
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

// group is the refusals of one group of codes, with whom it concerns.
func group(digit, id, name string) Card {
	return share("part_refus_"+id, "Part de refus : "+name, "échanges refusés par un code RPN"+digit+"xx ("+name+")", "outcome = refused, code",
		func(s *Sum) int64 { return s.codes("RPN" + digit) })
}

// ofWindows is a figure of one insurer, of its windows of five minutes.
func ofWindows(id, name string, unit Unit, numerator, denominator string, of func(store.Availability) (float64, bool)) Card {
	return Card{ID: id, Name: name, Unit: unit, Numerator: numerator, Denominator: denominator, Fields: "request_in, amc, service, outcome, code, responsable", Version: 1,
		Of: func(s *Sum) (float64, bool) {
			if s.Windows == nil {
				return 0, false
			}
			return of(s.windows())
		}}
}

func quantile(part string, name, what, fields string, percent int, d func(*store.Counts) *store.Durations) Card {
	p := fmt.Sprintf("p%d", percent)
	return Card{ID: p + "_" + part, Name: fmt.Sprintf("%s (%s)", name, p), Unit: Seconds, Fields: fields, Version: 1,
		Numerator: fmt.Sprintf("durée que %d %% des échanges ne dépassent pas : %s (à 1 %% près)", percent, what),
		Of: func(s *Sum) (float64, bool) {
			x := d(&s.All)
			return x.Quantile(percent).Seconds(), x.Count() > 0
		}}
}

// Cards lists every card, in the order of the pages.
func Cards() []Card {
	total := func(c *store.Counts) *store.Durations { return &c.Total }
	caller := func(c *store.Counts) *store.Durations { return &c.AtCaller }
	rpn := func(c *store.Counts) *store.Durations { return &c.InRPN }
	amc := func(c *store.Counts) *store.Durations { return &c.AtAMC }
	clock := func(c *store.Counts) *store.Durations { return &c.Clock }
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
		group("1", "acces", "droit d'appeler et quota"),
		group("2", "message", "message et signature"),
		group("3", "routage", "organisme demandé et annuaire"),
		group("4", "amc", "organisme injoignable ou réponse inutilisable"),
		group("5", "rpn", "RPN"),
		share("part_quota", "Part de refus pour quota", "échanges au-delà de ce que l'établissement peut envoyer, ou de sa part de l'organisme", "code = RPN110", func(s *Sum) int64 { return s.code(roc.TooMany.Meaning().Code) }),
		share("part_hors_debit", "Part au-delà du débit accordé", "échanges non transmis parce que l'organisme n'accorde pas ce débit ; ils ne comptent pas contre lui", "cause_code = amc-rate-reached", func(s *Sum) int64 { return s.All.BeyondRate }),
		{ID: "part_joint", Name: "Disponibilité perçue", Unit: Share, Numerator: "échanges transmis à l'organisme, moins ses défaillances techniques (RPN401 à RPN405, du fait de l'organisme)", Denominator: "échanges auxquels l'organisme a répondu, et ses défaillances techniques", Fields: "outcome, code, responsable", Version: 1,
			Of: func(s *Sum) (float64, bool) { return ratio(s.All.Sent-s.All.Failed, s.All.Sent) }},
		ofWindows("disponibilite", "Disponibilité de l'organisme", Share, "fenêtres de cinq minutes mesurées, moins celles où un service est en panne", "fenêtres mesurées, service par service", func(a store.Availability) (float64, bool) { return a.Share() }),
		ofWindows("minutes_panne", "Durée des pannes", Minutes, "cinq minutes par fenêtre où un service est en panne", "", func(a store.Availability) (float64, bool) { return a.Minutes(), true }),
		ofWindows("echanges_panne", "Échanges touchés par les pannes", Exchanges, "échanges que l'organisme a fait échouer dans les fenêtres en panne", "", func(a store.Availability) (float64, bool) { return float64(a.FailedOut), true }),
		ofWindows("pointe", "Débit de pointe", PerSecond, "échanges transmis dans la fenêtre la plus chargée d'un service", "300 s", func(a store.Availability) (float64, bool) {
			return float64(a.Peak) / store.Window.Seconds(), true
		}),
		ofWindows("debit_moyen", "Débit moyen", PerSecond, "échanges transmis", "durée des fenêtres où un service a un échange", func(a store.Availability) (float64, bool) {
			return float64(a.Sent) / (float64(a.Windows) * store.Window.Seconds()), a.Windows > 0
		}),
		ofInsurer("part_debit_accorde", "Part du débit accordé au plus fort", Share, "débit de pointe de l'organisme, tous services réunis, dans la fenêtre de cinq minutes la plus chargée", "débit que l'organisme accorde à une instance (registre), à multiplier par leur nombre", func(s *Sum) (float64, bool) {
			if s.Insurer.Granted <= 0 || s.Windows == nil {
				return 0, false
			}
			return float64(s.Insurer.Peak) / store.Window.Seconds() / s.Insurer.Granted, true
		}),
		ofInsurer("etablissements_sans_appel", "Établissements qui n'appellent pas encore", Sites, "établissements du registre qui peuvent joindre l'organisme, moins ceux qui ont un échange avec lui", "", func(s *Sum) (float64, bool) {
			return float64(s.Insurer.Reachable - s.Insurer.Calling), true
		}),
		count("reponses_inutilisables", "Réponses inutilisables", "réponses de l'organisme que le RPN n'a pas remises", "code = RPN403 ou RPN405", func(s *Sum) int64 {
			return s.code(roc.AMCBadAnswer.Meaning().Code) + s.code(roc.AMCNotSOAP.Meaning().Code)
		}),
		count("non_remis", "Réponses non remises", "réponses prêtes que l'appelant n'a pas reçues", "enregistrement rectificatif write-failed ou caller-left", func(s *Sum) int64 { return s.All.Undelivered }),
		count("signatures_mauvaises", "Réponses mal signées", "réponses dont la signature n'est pas bonne", "answer_check, ou enregistrement rectificatif answer-checked", func(s *Sum) int64 { return s.All.BadAnswers }),
		share("part_rejoues", "Part de messages rejoués", "échanges dont la signature était déjà venue", "replayed", func(s *Sum) int64 { return s.All.Replayed }),
		within("part_2s", 2*time.Second, func(c *store.Counts) int64 { return c.Within2s }),
		within("part_5s", 5*time.Second, func(c *store.Counts) int64 { return c.Within5s }),
		within("part_20s", 20*time.Second, func(c *store.Counts) int64 { return c.Within20s }),
		quantile("total", "Durée totale", "du premier octet lu à la réponse prête", "request_in, answer_out", 50, total),
		quantile("total", "Durée totale", "du premier octet lu à la réponse prête", "request_in, answer_out", 95, total),
		quantile("total", "Durée totale", "du premier octet lu à la réponse prête", "request_in, answer_out", 99, total),
		{ID: "minutes_perdues", Name: "Attente sans réponse utilisable", Unit: Minutes, Numerator: "durée totale des échanges qui n'ont pas de réponse utilisable, additionnée (à 1 % près) ; l'attente de celui qui a appelé, personne ou programme", Fields: "outcome, request_in, answer_out", Version: 1,
			Of: func(s *Sum) (float64, bool) {
				var lost time.Duration
				for code, c := range s.byCode {
					if code != store.Answered {
						lost += c.Total.Sum()
					}
				}
				return lost.Minutes(), s.All.Exchanges > 0
			}},
		quantile("appelant", "Dont l'établissement", "jusqu'à ce que l'établissement ait envoyé tout son message", "read_us", 50, caller),
		quantile("appelant", "Dont l'établissement", "jusqu'à ce que l'établissement ait envoyé tout son message", "read_us", 95, caller),
		quantile("appelant", "Dont l'établissement", "jusqu'à ce que l'établissement ait envoyé tout son message", "read_us", 99, caller),
		quantile("rpn", "Dont le RPN", "total, moins la lecture, l'attente de l'annuaire et celle de l'organisme ; résolution DNS comprise", "total_us, read_us, annuaire_us, amc_us", 50, rpn),
		quantile("rpn", "Dont le RPN", "total, moins la lecture, l'attente de l'annuaire et celle de l'organisme ; résolution DNS comprise", "total_us, read_us, annuaire_us, amc_us", 95, rpn),
		quantile("rpn", "Dont le RPN", "total, moins la lecture, l'attente de l'annuaire et celle de l'organisme ; résolution DNS comprise", "total_us, read_us, annuaire_us, amc_us", 99, rpn),
		quantile("amc", "Dont l'organisme", "attente de l'organisme, connexion comprise, des échanges qui lui ont été transmis", "amc_us", 50, amc),
		quantile("amc", "Dont l'organisme", "attente de l'organisme, connexion comprise, des échanges qui lui ont été transmis", "amc_us", 95, amc),
		quantile("amc", "Dont l'organisme", "attente de l'organisme, connexion comprise, des échanges qui lui ont été transmis", "amc_us", 99, amc),
		quantile("horloge", "Écart d'horloge du signataire", "écart entre son horloge et la nôtre, en avance ou en retard, trajet du message compris", "clock_offset_ms", 50, clock),
		quantile("horloge", "Écart d'horloge du signataire", "écart entre son horloge et la nôtre, en avance ou en retard, trajet du message compris", "clock_offset_ms", 95, clock),
		{ID: "part_horloge", Name: "Part de messages dont l'horloge dérive", Unit: Share, Numerator: "messages dont l'horloge du signataire s'écarte de plus d'une minute (le RPN refuse à cinq)", Denominator: "messages dont l'horodatage a été lu", Fields: "clock_offset_ms", Version: 1,
			Of: func(s *Sum) (float64, bool) { return ratio(s.All.ClockOff, s.All.Clock.Count()) }},
		share("part_v2", "Part en version 2", "échanges en version 2 de ROC", "version", func(s *Sum) int64 { return exchanges(s.byVersion[roc.V2]) }),
	}
	for _, service := range roc.AMCServices {
		code := service.String()
		cards = append(cards, count(strings.ToLower(code), service.Exchanges()+" ("+code+")", "échanges "+code, "service", func(s *Sum) int64 { return s.service(service) }))
	}
	cards = append(cards, dossierCards()...)
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

// Outages is the definition of an outage, in French.
const Outages = "Panne d'un organisme, service par service, par fenêtres de cinq minutes : une fenêtre est mesurée dès cinq échanges ; elle est en panne si un échange sur cinq ou plus échoue du fait de l'organisme (RPN401 à RPN405), " +
	"ou par la règle des cinq : cinq échanges de suite d'une même instance restent sans réponse (RPN401, RPN402, RPN404) en 30 s ; elle vaut dès le premier d'entre eux et jusqu'à la prochaine réponse. Ce qui dépasse le débit accordé n'est pas transmis et ne compte pas. " +
	"Une panne finit à la première fenêtre mesurée qui n'est pas en panne."

// Markdown writes the cards for docs/indicators.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Indicateurs : les fiches\n\nPage écrite par `go test ./indicators/report -update` d'après la table `Cards` de `indicators/report` : même fiche, même nombre, dans les CSV, le JSON et les pages.\n\n")
	b.WriteString(Common + "\n\n" + Outages + "\n\n" + AboutDossiers + "\n\n" + NotBuilt + "\n\n| champ | indicateur | unité | numérateur | dénominateur | vient de | version |\n|---|---|---|---|---|---|---|\n")
	for _, c := range Cards() {
		d := c.Denominator
		if d == "" {
			d = "-"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | `%s` | %d |\n", c.ID, c.Name, c.Unit, c.Numerator, d, c.Fields, c.Version)
	}
	return b.String()
}
