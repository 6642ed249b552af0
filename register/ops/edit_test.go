package ops_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
)

const kept = `# Tenu à la main par l'équipe registre.
etablissements:
  # Lyon d'abord
  - finess_ej: "690000013"   # vérifié le 3 mars
    nom: Hôpital de l'Orme   # son nom d'usage
    # ses sites, un par bâtiment
    finess_eg:
      - 690000021   # bâtiment A
      - "690000039" # bâtiment B
    etats:
      # première convention
      - {depuis: 2026-01-01, etat: accrochage} # PV perdu
      - depuis: 2026-03-01
        etat: cercle
    limite: {par_seconde: 5}

  # puis l'Ain
  - {finess_ej: 010003812, nom: CHU fictif, etat: cercle}

  - finess_ej: 2A0000014
    nom: Clinique fictive
    etat: accrochage # depuis peu
    amc_miroir: 0075500025
# fin de la liste
`

func rowsOf(t rapid.TB, text string) []register.Etablissement {
	rows, _, err := register.ReadEtablissements("e.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return slices.Clone(rows)
}

func day(t rapid.TB, s string) register.Moment {
	m, err := register.ParseMoment(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// An edit changes what changes, in its place, and nothing else of the text.
func TestAnEditKeepsTheOrderAndTheComments(t *testing.T) {
	t.Parallel()
	rows := rowsOf(t, kept)
	if got, ok := ops.Edit(ops.File{Name: "e.yaml", Data: []byte(kept)}, rows); !ok || string(got) != kept {
		t.Errorf("nothing changes, ok %t:\n%s", ok, got)
	}
	orme, ain, clinique := &rows[0], &rows[1], &rows[2]
	orme.EGs = []roc.FINESS{"690000039", "690000047"}
	orme.Etats = append(slices.Clone(orme.Etats), register.Changement{Depuis: day(t, "2026-12-01"), Etat: register.Suspendu, Motif: "travaux"})
	orme.Departement = "69"
	orme.Alertes = []register.Alerte{{Courriel: "dsi@orme.example", Organismes: []roc.NumeroAMC{"0075500025"}}}
	ain.GAP = "Logiciel fictif"
	clinique.Etats = []register.Changement{{Depuis: day(t, "2026-01-01"), Etat: register.Accrochage}, {Depuis: day(t, "2026-06-01"), Etat: register.Surveillance, Miroir: "0075500025"}}
	more := append(rows, register.Etablissement{EJ: "990000018", Nom: "Nouvelle", Etats: []register.Changement{{Etat: register.Suspendu}}})
	got, ok := ops.Edit(ops.File{Name: "e.yaml", Data: []byte(kept)}, more)
	const want = `# Tenu à la main par l'équipe registre.
etablissements:
  # Lyon d'abord
  - finess_ej: "690000013"   # vérifié le 3 mars
    nom: Hôpital de l'Orme   # son nom d'usage
    # ses sites, un par bâtiment
    finess_eg:
      - "690000039" # bâtiment B
      - "690000047"
    etats:
      # première convention
      - {depuis: 2026-01-01, etat: accrochage} # PV perdu
      - depuis: 2026-03-01
        etat: cercle
      - {depuis: 2026-12-01, etat: suspendu, motif: "travaux"}
    limite: {par_seconde: 5}
    departement: "69"
    alertes:
      - {courriel: "dsi@orme.example", organismes: ["0075500025"]}

  # puis l'Ain
  - finess_ej: "010003812"
    nom: "CHU fictif"
    gap: "Logiciel fictif"
    etat: cercle

  - finess_ej: 2A0000014
    nom: Clinique fictive
    etats:
      - {depuis: 2026-01-01, etat: accrochage}
      - {depuis: 2026-06-01, etat: surveillance, amc_miroir: "0075500025"}
# fin de la liste
  - finess_ej: "990000018"
    nom: "Nouvelle"
    etat: suspendu
`
	if !ok || string(got) != want {
		t.Errorf("ok %t, got\n%s", ok, got)
	}
}

// What cannot be edited in its place is not half edited.
func TestAnEditThatCannotSayTheRowsIsNone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"one line":   `etablissements: [{finess_ej: 010003812, nom: A, etat: cercle}, {finess_ej: 2A0000014, nom: B, etat: cercle}]`,
		"not a list": `amcs: []`,
	} {
		rows := []register.Etablissement{{EJ: "010003812", Nom: "A", Etats: []register.Changement{{Etat: register.Clos}}}, {EJ: "2A0000014", Nom: "B", Etats: []register.Changement{{Etat: register.Cercle}}}}
		if got, ok := ops.Edit(ops.File{Name: "e.yaml", Data: []byte(text)}, rows); ok {
			t.Errorf("%s: edited:\n%s", name, got)
		}
	}
	if got, ok := ops.Edit(ops.File{Name: "e.yaml", Data: []byte(kept)}, rowsOf(t, kept)[1:]); ok {
		t.Errorf("a row that goes: %s", got)
	}
}

// For random rows and random changes of them, what an edit gives is either said
// not to be good, or says exactly the rows.
func TestAnEditSaysExactlyTheRows(t *testing.T) {
	t.Parallel()
	states := []register.Etat{register.Accrochage, register.Formation, register.Cercle, register.Suspendu}
	rapid.Check(t, func(t *rapid.T) {
		random := func(i int, name string) register.Etablissement {
			e := register.Etablissement{EJ: roc.FINESS(fmt.Sprintf("01%07d", i)), Nom: rapid.SampledFrom([]string{"A", `B: "c" # d`, "É'e"}).Draw(t, name+"nom")}
			for j := range rapid.IntRange(0, 3).Draw(t, name+"sites") {
				e.EGs = append(e.EGs, roc.FINESS(fmt.Sprintf("02%03d%04d", i, j)))
			}
			n := rapid.IntRange(1, 3).Draw(t, name+"states")
			for j := range n {
				c := register.Changement{Etat: rapid.SampledFrom(states).Draw(t, name+"state")}
				if n > 1 {
					c.Depuis = register.DayOf(time.Date(2026, 1, 1+j, 12, 0, 0, 0, time.UTC))
				}
				c.Formation = c.Etat == register.Cercle && rapid.Bool().Draw(t, name+"formation")
				e.Etats = append(e.Etats, c)
			}
			if rapid.Bool().Draw(t, name+"contact") {
				e.Contacts = []register.Contact{{Nom: "DSI", Courriel: "dsi@ch.example"}}
			}
			if rapid.Bool().Draw(t, name+"mandate") {
				e.Delegations = []register.Mandat{{Structure: "318751275100020"}}
			}
			return e
		}
		var before, after []register.Etablissement
		for i := range 4 {
			before = append(before, random(i, "before "))
			after = append(after, random(i, "after "))
		}
		after = append(after, random(9, "new "))
		base := string(ops.YAML(before, "Tenu à la main."))
		base = strings.ReplaceAll(base, "    nom:", "    # un commentaire\n    nom:")
		got, ok := ops.Edit(ops.File{Name: "e.yaml", Data: []byte(base)}, after)
		if !ok {
			t.Fatalf("not edited:\n%s\n---\n%s", base, got)
		}
		if n := strings.Count(string(got), "# un commentaire"); n != 4 {
			t.Fatalf("%d comments of 4:\n%s", n, got)
		}
		if want := string(ops.YAML(after, "")); string(ops.YAML(rowsOf(t, string(got)), "")) != want {
			t.Fatalf("it says other rows:\n%s\n--- want\n%s", got, want)
		}
	})
}

func TestAListIsFiltered(t *testing.T) {
	t.Parallel()
	l, err := register.Parse("e", []byte(`etablissements:
  - {finess_ej: 010003812, finess_eg: [010003820], nom: CHU de l'Ain, region: Auvergne-Rhône-Alpes, etat: cercle, formation: true, motif: convention 7}
  - {finess_ej: 2A0000014, nom: Clinique d'Ajaccio, region: Corse, etats: [{depuis: 2026-01-01, etat: accrochage}, {depuis: 2027-01-01, etat: cercle}]}
`), "a", []byte(`amcs:
  - {nom: Mutuelle du Rhône, numeros: [0075500025, 0075500033], etat: cercle}
  - {nom: Mutuelle en essai, numeros: [0075500041], etat: validation, essais_avec: [010003812]}
`), today)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    ops.Filter
		want string
	}{
		{ops.Filter{}, "010003812 2A0000014 0075500025 0075500041"},
		{ops.Filter{Etat: "cercle"}, "010003812 0075500025"},
		{ops.Filter{Etat: "validation"}, "0075500041"},
		{ops.Filter{Region: "auvergne-rhone-alpes"}, "010003812"},
		{ops.Filter{Region: "Rhône"}, ""},
		{ops.Filter{Text: "RHONE"}, "0075500025"},
		{ops.Filter{Text: "010003820"}, "010003812"},
		{ops.Filter{Text: "5500033"}, "0075500025"},
		{ops.Filter{Text: "convention"}, "010003812"},
		{ops.Filter{Text: "mutuelle", Etat: "cercle"}, "0075500025"},
	} {
		got := ops.List(l, c.f)
		var who []string
		for _, r := range got.Etablissements {
			who = append(who, string(r.EJ))
		}
		for _, r := range got.AMCs {
			who = append(who, string(r.Numero))
		}
		if strings.Join(who, " ") != c.want {
			t.Errorf("%+v: %v, want %q", c.f, who, c.want)
		}
	}
	if s := ops.List(l, ops.Filter{}).String(); !strings.Contains(s, "010003812  CHU de l'Ain, Auvergne-Rhône-Alpes: cercle (and formation) (convention 7)") ||
		!strings.Contains(s, "AMC 0075500041  Mutuelle en essai: validation (trials with 010003812)") || !strings.Contains(s, "2 establishments, 2 AMCs") {
		t.Errorf("%s", s)
	}
}
