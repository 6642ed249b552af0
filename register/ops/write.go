package ops

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/register"
)

// YAML writes establishments as etablissements.yaml holds them. Empty fields
// are left out.
func YAML(rows []register.Etablissement, head string) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(head) {
		fmt.Fprintf(&b, "# %s\n", strings.TrimSpace(line))
	}
	b.WriteString("etablissements:\n")
	for i := range rows {
		writeRow(&b, &rows[i])
	}
	return b.Bytes()
}

func writeRow(b *bytes.Buffer, e *register.Etablissement) {
	fmt.Fprintf(b, "  - finess_ej: %q\n", string(e.EJ))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "    %s: %s\n", name, value)
		}
	}
	field("finess_eg", flow(e.EGs))
	field("nom", quoted(e.Nom))
	field("departement", quoted(e.Departement))
	field("region", quoted(e.Region))
	field("gap", quoted(e.GAP))
	field("structures", flow(e.Structures))
	if len(e.Contacts) > 0 {
		b.WriteString("    contacts:\n")
		for _, c := range e.Contacts {
			fmt.Fprintf(b, "      - %s\n", mapping("nom", quoted(c.Nom), "role", quoted(c.Role), "courriel", quoted(c.Courriel), "telephone", quoted(c.Telephone)))
		}
	}
	if len(e.Alertes) > 0 {
		b.WriteString("    alertes:\n")
		for _, a := range e.Alertes {
			fmt.Fprintf(b, "      - %s\n", mapping("courriel", quoted(a.Courriel), "webhook", quoted(a.Webhook), "organismes", flow(a.Organismes)))
		}
	}
	field("contrat", e.Contrat.String())
	writeEtats(b, e)
	field("versions", flow(e.Versions))
	if e.Limite != (register.Limite{}) {
		l := e.Limite
		field("limite", mapping("par_seconde", number(l.ParSeconde), "rafale", number(float64(l.Rafale)), "en_cours", number(float64(l.EnCours)),
			"connexions", number(float64(l.Connexions)), "octets", number(float64(l.Octets)), "par_organisme", number(float64(l.ParOrganisme)),
			"octets_par_seconde", number(float64(l.OctetsParSeconde)), "rafale_octets", number(float64(l.RafaleOctets)), "mode", string(l.Mode)))
	}
	if e.SansTimestamp {
		field("sans_timestamp", "true")
	}
	field("facade", string(e.Facade))
	if len(e.Delegations) > 0 {
		b.WriteString("    mandats:\n")
		for _, m := range e.Delegations {
			fmt.Fprintf(b, "      - %s\n", mapping("structure", quoted(string(m.Structure)), "depuis", m.Depuis.String(), "jusque", m.Jusque.String()))
		}
	}
}

func writeEtats(b *bytes.Buffer, e *register.Etablissement) {
	if len(e.Etats) == 1 && e.Etats[0].Depuis.IsZero() {
		c := e.Etats[0]
		for _, f := range [][2]string{
			{"etat", string(c.Etat)}, {"amc_miroir", quoted(string(c.Miroir))}, {"accrochage_complet", yes(c.AccrochageComplet)},
			{"formation", yes(c.Formation)}, {"motif", quoted(c.Motif)},
		} {
			if f[1] != "" {
				fmt.Fprintf(b, "    %s: %s\n", f[0], f[1])
			}
		}
		return
	}
	b.WriteString("    etats:\n")
	for _, c := range e.Etats {
		fmt.Fprintf(b, "      - %s\n", mapping("depuis", c.Depuis.String(), "etat", string(c.Etat), "amc_miroir", quoted(string(c.Miroir)),
			"accrochage_complet", yes(c.AccrochageComplet), "formation", yes(c.Formation), "motif", quoted(c.Motif)))
	}
}

// quoted writes a text in double quotes. The escapes of Go are among those of
// YAML.
func quoted(s string) string {
	if s == "" {
		return ""
	}
	return strconv.Quote(strings.ToValidUTF8(s, "?"))
}

// yes writes a flag; "" when it is not set.
func yes(v bool) string {
	if v {
		return "true"
	}
	return ""
}

func number(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// mapping writes the pairs that have a value between braces.
func mapping(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			parts = append(parts, pairs[i]+": "+pairs[i+1])
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// flow writes a list between brackets, "" when it is empty.
func flow[T any](items []T) string {
	if len(items) == 0 {
		return ""
	}
	var b strings.Builder
	for i, v := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", fmt.Sprint(v))
	}
	return "[" + b.String() + "]"
}
