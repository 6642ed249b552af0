package admin

import (
	"embed"
	"encoding/csv"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// Certificates is the answer of /certificats: what ends, the nearest end
// first, and how far the certificates are deployed.
type Certificates struct {
	At           time.Time       `json:"a"`
	Territories  []Territory     `json:"territoires"`
	Certificates []expiry.Expiry `json:"certificats"`
}

// A Territory is one line of the table of deployed certificates: the
// establishments of the register in a département, and how many of them were
// seen with valid certificates.
type Territory struct {
	Region         string `json:"region"`
	Departement    string `json:"departement"`
	Etablissements int    `json:"etablissements"` // of the register, those that are closed left out
	TLS            int    `json:"tls"`            // seen with a certificate to connect that is still valid
	Signature      int    `json:"signature"`      // seen with one to sign
	Soon           int    `json:"a_renouveler"`   // with one that ends within 60 days and no other seen
	Ended          int    `json:"termines"`
	Calls          int    `json:"appels_24h"` // of those of Soon and Ended: at stake
}

// A certificateFilter is what the query of /certificats keeps: ?region=,
// ?departement=, ?nature=, ?jours= (those that end within so many days and were
// not renewed).
type certificateFilter struct {
	region, departement, kind string
	days                      int // negative: all
}

func filterOf(r *http.Request) (f certificateFilter, ok bool) {
	q := r.URL.Query()
	f = certificateFilter{region: q.Get("region"), departement: q.Get("departement"), kind: q.Get("nature"), days: -1}
	if text := q.Get("jours"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return f, false
		}
		f.days = n
	}
	return f, true
}

func (f certificateFilter) keeps(e expiry.Expiry) bool {
	return (f.region == "" || e.Region == f.region) && (f.departement == "" || e.Departement == f.departement) &&
		(f.kind == "" || string(e.Kind) == f.kind) && (f.days < 0 || e.Days < f.days && !e.Renewed)
}

// of is what the filter keeps.
func (f certificateFilter) of(all Certificates) Certificates {
	c := Certificates{At: all.At, Territories: []Territory{}, Certificates: []expiry.Expiry{}}
	for _, t := range all.Territories {
		if (f.region == "" || t.Region == f.region) && (f.departement == "" || t.Departement == f.departement) {
			c.Territories = append(c.Territories, t)
		}
	}
	for _, e := range all.Certificates {
		if f.keeps(e) {
			c.Certificates = append(c.Certificates, e)
		}
	}
	return c
}

// serveCertificates answers a French page, JSON (Accept: application/json or
// ?format=json) or CSV (?format=csv).
func (p Parts) serveCertificates(w http.ResponseWriter, r *http.Request) {
	f, ok := filterOf(r)
	if !ok {
		http.Error(w, "jours : un nombre de jours est attendu", http.StatusBadRequest)
		return
	}
	c := f.of(p.Certificates())
	w.Header().Set("Cache-Control", "no-store")
	switch format := r.URL.Query().Get("format"); {
	case format == "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="certificats.csv"`)
		WriteCertificatesCSV(w, c.Certificates)
	case format == "json" || strings.Contains(r.Header.Get("Accept"), "application/json"):
		writeJSON(w, http.StatusOK, c)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
		if err := certificatesPage.Execute(w, c); err != nil {
			p.Log.Debug("the page of certificates was cut short", "event", "page_cut_short", "error", err.Error())
		}
	}
}

// CertificateColumns are the columns of the CSV.
var CertificateColumns = []string{"fin", "jours_restants", "niveau", "renouvele", "nature", "proprietaire", "nom", "departement", "region", "appels_24h", "vu", "debut", "sujet", "emetteur", "numero"}

// WriteCertificatesCSV writes one line a certificate, RFC 4180. A value that a
// spreadsheet would take for a formula gets a quote in front: a subject is
// written by others.
func WriteCertificatesCSV(w io.Writer, all []expiry.Expiry) error {
	out := csv.NewWriter(w)
	if err := out.Write(CertificateColumns); err != nil {
		return err
	}
	instant := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	for _, e := range all {
		row := []string{instant(e.End), strconv.Itoa(e.Days), string(e.Level), strconv.FormatBool(e.Renewed), string(e.Kind), e.Owner, e.Nom, e.Departement, e.Region,
			strconv.Itoa(e.Calls), instant(e.Seen), instant(e.From), e.Subject, e.Issuer, e.Serial}
		for _, i := range []int{5, 6, 7, 8, 12, 13} {
			if row[i] != "" && strings.ContainsRune("=+-@\t\r", rune(row[i][0])) {
				row[i] = "'" + row[i]
			}
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

//go:embed certificats.html
var pages embed.FS

var certificatesPage = template.Must(template.New("certificats.html").Funcs(template.FuncMap{
	"jour":   func(t time.Time) string { return t.Format("02/01/2006") },
	"nature": expiry.Kind.Nom,
	"reste": func(e expiry.Expiry) string {
		switch {
		case e.Days < 0:
			return "terminé"
		case e.Days == 0:
			return "moins d'un jour"
		case e.Days == 1:
			return "1 jour"
		}
		return strconv.Itoa(e.Days) + " jours"
	},
	"ou": func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	},
}).ParseFS(pages, "certificats.html"))
