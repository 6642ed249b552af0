package portal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/portal/access"
)

var outcomes = []roc.Outcome{roc.Answered, roc.FarFault, roc.Refused, roc.Abandoned}

// exchangesPage searches exchanges of the subject. Nothing is searched until
// something is asked.
func exchangesPage(q *question) (any, error) {
	values := q.URL.Query()
	p := &page{Title: "Recherche d'échanges", Lead: q.subjectName()}
	if id := strings.TrimSpace(values.Get("id")); id != "" {
		if !roc.IsUUID(id) {
			return nil, badRequest("Un identifiant d'échange (RPN-Echange) est un UUID : 01890a5d-ac96-774b-bcce-b302099a8057.")
		}
		return moved(q.path + "/echange/" + strings.ToLower(id)), nil
	}
	today := store.Day.Begin(q.now())
	from, to, err := q.span(values, today)
	if err != nil {
		return nil, err
	}
	search, err := readSearch(values)
	if err != nil {
		return nil, err
	}
	search.From, search.To = from, to.AddDate(0, 0, 1)
	p.Sections = []section{
		{ID: "id", Heading: "Par identifiant", Form: &form{Action: q.link(q.path + "/echanges"), Label: "Recherche par identifiant", Button: "Montrer", Fields: []field{{Name: "id", Label: "Identifiant de l'échange", Hint: "celui que porte la réponse (RPN-Echange)", Required: true}}}},
		{ID: "recherche", Heading: "Par période", Note: fmt.Sprintf("Dans le journal de cette instance du RPN : %d jours au plus à la fois, et les %d échanges les plus récents.", maxDays, access.MaxFound), Form: q.searchForm(values, from, to)},
	}
	if !values.Has("du") && !values.Has("message") {
		return p, nil
	}
	found, err := q.about.Find(q.Context(), search)
	if err != nil {
		return nil, err
	}
	t := &table{Caption: plural(int64(found.Total), "échange trouvé", "échanges trouvés"), Head: columns("Reçu le", "Établissement", "Organisme", "Service", "Issue", "À qui d'agir", "#Durée"), Empty: "Aucun échange ne répond à cette question."}
	for _, x := range found.Exchanges {
		t.Rows = append(t.Rows, []cell{
			{Text: clock(x.RequestIn), Href: q.link(q.path + "/echange/" + string(x.ID))}, text(finess(x.From)), text(or(string(x.To.AMC), "-")),
			text(x.Service.String() + " " + x.Version.String()), {Text: endName(x), State: endState(x)}, text(ownerName(x.MustAct)), text(milliseconds(x.Total())),
		})
	}
	if found.Total > len(found.Exchanges) {
		t.More = "Seuls les plus récents sont montrés : précisez la question."
	}
	if found.Unread {
		t.Empty = "Aucun échange ne répond à cette question dans ce qui a pu être lu."
		t.More += " Une partie du journal ne peut pas être lue pour le moment : il peut y avoir d'autres échanges."
	}
	if found.Damaged > 0 {
		t.More += " " + plural(int64(found.Damaged), "enregistrement est illisible.", "enregistrements sont illisibles.")
	}
	p.Sections = append(p.Sections, section{ID: "resultats", Heading: "Résultats", Table: t})
	return p, nil
}

// maxDays is how many days are searched at once.
const maxDays = int(access.MaxPeriod / (24 * time.Hour))

// span reads ?du= and ?au=, days of Paris, both included.
func (q *question) span(values url.Values, today time.Time) (from, to time.Time, err error) {
	from, to = today.AddDate(0, 0, -6), today
	for name, into := range map[string]*time.Time{"du": &from, "au": &to} {
		if s := values.Get(name); s != "" {
			t, err := time.ParseInLocation("2006-01-02", s, store.Paris)
			if err != nil {
				return from, to, badRequest("Une date s'écrit AAAA-MM-JJ : 2026-11-23.")
			}
			*into = t
		}
	}
	if to.Before(from) || to.AddDate(0, 0, 1).Sub(from) > access.MaxPeriod+2*time.Hour {
		return from, to, badRequest(fmt.Sprintf("La période va du plus ancien au plus récent, et compte %d jours au plus.", maxDays))
	}
	return from, to, nil
}

// readSearch reads the other fields of the form.
func readSearch(values url.Values) (s access.Search, err error) {
	if m := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(values.Get("message")), "urn:"), "uuid:"); m != "" {
		if !roc.IsUUID(m) {
			return s, badRequest("Le wsa:MessageID cherché est un UUID.")
		}
		s.MessageID = m
	}
	if n := strings.TrimSpace(values.Get("amc")); n != "" {
		if s.AMC, err = roc.ParseNumeroAMC(n); err != nil {
			return s, badRequest("Un numéro d'AMC a 8 à 10 chiffres.")
		}
	}
	if v := values.Get("service"); v != "" {
		if s.Service, err = roc.ParseService(v); err != nil {
			return s, badRequest("Le service est " + roc.OneOf(roc.Services) + ".")
		}
	}
	if o := roc.Outcome(values.Get("issue")); o != "" {
		if !slices.Contains(outcomes, o) {
			return s, badRequest("L'issue est answered, far-fault, refused ou abandoned.")
		}
		s.Outcome = o
	}
	if c := strings.ToUpper(values.Get("code")); c != "" {
		i := slices.IndexFunc(roc.Reasons(), func(r roc.Reason) bool { return r.Meaning().Code == c })
		if i < 0 {
			return s, badRequest("Ce code n'est pas un code de refus : RPN212.")
		}
		s.Reason = roc.Reasons()[i]
	}
	return s, nil
}

func (q *question) searchForm(values url.Values, from, to time.Time) *form {
	f := &form{Action: q.link(q.path + "/echanges"), Label: "Recherche par période", Button: "Chercher", Fields: []field{
		{Name: "du", Label: "Du", Kind: "date", Value: from.Format("2006-01-02"), Required: true},
		{Name: "au", Label: "Au", Kind: "date", Value: to.Format("2006-01-02"), Required: true},
		{Name: "message", Label: "wsa:MessageID", Value: values.Get("message")},
	}}
	services := field{Name: "service", Label: "Service", Kind: "select", Options: []option{{Text: "tous"}}}
	for _, s := range roc.Services {
		services.Options = append(services.Options, option{s.String(), s.String(), values.Get("service") == s.String()})
	}
	ends := field{Name: "issue", Label: "Issue", Kind: "select", Options: []option{{Text: "toutes"}}}
	for _, o := range outcomes {
		ends.Options = append(ends.Options, option{string(o), outcomeName(o), values.Get("issue") == string(o)})
	}
	codes := field{Name: "code", Label: "Code de refus", Value: values.Get("code")}
	f.Fields = append(f.Fields, services, ends, codes)
	if q.about.Numero() == "" {
		f.Fields = append(f.Fields, field{Name: "amc", Label: "Numéro d'AMC", Value: values.Get("amc")})
	}
	return f
}

func endName(x *journal.Exchange) string {
	if x.Outcome == roc.Refused {
		return x.Code() + " " + x.Reason.MeaningWith(x.CauseCode).Libelle
	}
	return outcomeName(x.Outcome)
}

func endState(x *journal.Exchange) string {
	switch x.Outcome {
	case roc.Answered:
		return "good"
	case roc.Abandoned, roc.FarFault:
		return "warn"
	}
	return "bad"
}

// exchangePage tells the story of one exchange.
func exchangePage(q *question) (any, error) {
	s, err := q.about.Exchange(q.Context(), q.PathValue("echange"))
	if err != nil {
		return nil, err
	}
	p := &page{Title: "Échange " + string(s.ID), Lead: q.subjectName()}
	what := []fact{
		{"Reçu le", clock(s.RequestIn)},
		{"De la structure", or(finess(s.From), "jamais identifiée")},
		{"Pour l'AMC", or(string(s.To.AMC), "jamais lue") + " " + q.reader.NameOfAMC(s.To.AMC)},
		{"Service", s.Service.String() + " " + s.Version.String()},
		{"Convention, domaine", or(string(s.To.Convention), "-") + ", " + or(string(s.To.Domaine), "-")},
		{"wsa:MessageID", or(s.MessageID, "-")},
	}
	p.Sections = append(p.Sections, section{ID: "issue", Heading: "Ce qui s'est passé", Facts: ending(s)}, section{ID: "quoi", Heading: "Qui, quoi", Facts: what},
		section{ID: "temps", Heading: "Les quatre instants", Table: instantsTable(s), Facts: []fact{
			{"Durée totale", milliseconds(s.Total())}, {"dont lecture du message", milliseconds(s.Read)}, {"dont vérification", milliseconds(s.Check)},
			{"dont attente de l'annuaire", milliseconds(s.Annuaire)}, {"dont attente de l'organisme", milliseconds(s.Exchange.AMC)},
		}},
		section{ID: "preuve", Heading: "Preuve", Note: "Le fichier de preuve se vérifie sans le RPN, avec la clé publique du journal : rpn receipt verify.", Facts: []fact{
			{"Requête", count(int64(s.RequestBytes)) + " octets, SHA-256 " + sum(s.RequestSHA256)}, {"Réponse", count(int64(s.AnswerBytes)) + " octets, SHA-256 " + sum(s.AnswerSHA256)},
			{"Certificat du signataire", or(s.SignerSerial, "-")}, {"Signature", sum(s.SignatureSHA256)}, {"Horloge du signataire", offset(s.ClockOffset)},
		}, Links: []link{{Text: "Télécharger la preuve", Href: q.link(q.path + "/echange/" + string(s.ID) + "/preuve")}}})
	return p, nil
}

// ending says how it ended, decision by decision, and whose turn it is.
func ending(s *access.Story) (list []fact) {
	add := func(name, value string) { list = append(list, fact{name, value}) }
	add("Issue", outcomeName(s.Outcome))
	if s.FarStatus > 0 {
		add("Statut de l'organisme", "HTTP "+count(int64(s.FarStatus)))
	}
	if s.Outcome == roc.Refused {
		m := s.Reason.MeaningWith(s.CauseCode)
		add("Refus", m.Code+" "+m.Libelle)
		if c := s.CauseCode; c != "" {
			add("Cause", string(c))
		}
		add("Geste", m.Remede)
	}
	add("À qui d'agir", ownerName(s.MustAct))
	if s.Service != roc.NoService && s.Replayed {
		add("Rejeu", "cette signature était déjà venue")
	}
	if s.FromMemory {
		memory := "réponse de l'annuaire gardée en mémoire"
		if s.Stale {
			memory += ", plus fraîche et revalidée ensuite"
		}
		add("Annuaire", memory)
	}
	if s.AnswerCheck != "" {
		add("Signature de la réponse", checkName(s.AnswerCheck))
	}
	for _, a := range s.Amendments {
		add("Appris ensuite, le "+clock(a.At), a.Libelle())
	}
	return list
}

// checkName is what the check of an answer's signature said.
func checkName(check string) string {
	switch check {
	case "good":
		return "valable"
	case roc.CheckedLater:
		return "vérifiée après la réponse"
	}
	m := roc.Reason(check).Meaning()
	return m.Code + " " + m.Libelle
}

func instantsTable(s *access.Story) *table {
	t := &table{Caption: "Les quatre instants de l'échange, heure de Paris", Quiet: true, Head: columns("Instant", "Heure", "#Depuis le premier")}
	for _, i := range []struct {
		name string
		at   time.Time
	}{{"message reçu", s.RequestIn}, {"message transmis", s.RequestOut}, {"réponse reçue", s.AnswerIn}, {"réponse remise", s.AnswerOut}} {
		since := "-"
		if !i.at.IsZero() {
			since = milliseconds(i.at.Sub(s.RequestIn))
		}
		t.Rows = append(t.Rows, []cell{text(i.name), text(clock(i.at)), text(since)})
	}
	return t
}

func sum(h [32]byte) string {
	if h == [32]byte{} {
		return "-"
	}
	return hex.EncodeToString(h[:])
}

func offset(d *time.Duration) string {
	if d == nil {
		return "-"
	}
	if *d < 0 {
		return milliseconds(-*d) + " de retard"
	}
	return milliseconds(*d) + " d'avance"
}

// proofFile is the proof of one exchange, for `rpn receipt verify`.
func proofFile(q *question) (any, error) {
	id := q.PathValue("echange")
	proof, err := q.about.Proof(q.Context(), id)
	if errors.Is(err, journal.ErrPruned) {
		return nil, access.ErrHidden
	}
	if err != nil {
		return nil, err
	}
	return &file{kind: "text/plain; charset=utf-8", name: "preuve_" + strings.ToLower(id) + ".txt", body: proof}, nil
}
