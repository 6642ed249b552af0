package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// makeMessages signs the request and the answer, and starts who answers. They
// are sent again and again, as they are: their Timestamps outlive the bench.
func (w *setting) makeMessages(size int) error {
	request, err := sized(size, w.sign, func(filler string) roc.Content {
		return message.IDBRequest{Version: roc.V2, Demande: message.Demande{
			Requete:       message.Requete{Date: time.Now(), Editeur: filler, Logiciel: "BANC", VersionLogiciel: "1"},
			Etablissement: message.Etablissement{EJ: finess, Champ: "MCO", Statut: "EX_DG"},
			Adressage:     message.Adressage{AMC: amcNumber, Convention: "RO", Domaine: roc.HOSP},
			Beneficiaire:  message.Beneficiaire{NumeroAdherent: "ADH0000001", Nom: "FICTIF", Prenom: "Zoé", DateNaissance: "1980-02-29"},
		}}.Envelope(soap.SOAP12)
	})
	if err != nil {
		return err
	}
	answer, err := sized(size, w.pki.AMCSigner(igc.AMC, "AMC FICTIVE"), func(filler string) roc.Content {
		return message.IDBAnswer{Version: roc.V2, CR: message.CR{Code: "00", Libelle: filler}, Organisme: message.Organisme{AMC: amcNumber, Nom: "AMC FICTIVE"}}.Envelope(soap.SOAP12)
	})
	if err != nil {
		return err
	}
	w.message, w.answer = request.Len(), answer.Len()
	contentType := soap.SOAP12.ContentType()
	w.request = httpMessage("POST /roc HTTP/1.1\r\nHost: "+rpnName, contentType, request.Bytes())
	if err := w.startInsurer(httpMessage("HTTP/1.1 200 OK", contentType, answer.Bytes())); err != nil {
		return err
	}
	return w.startAnnuaire()
}

// sized makes a signed message of that many bytes, by filling one of its texts.
func sized(size int, by igc.Pair, write func(filler string) roc.Content) (roc.Content, error) {
	sign := func(m roc.Content) (roc.Content, error) {
		return xmlsig.Sign(m, keyOf(by), xmlsig.SignOptions{Life: 50 * time.Minute})
	}
	bare, err := sign(write("X"))
	if err != nil || bare.Len() >= size {
		return bare, err
	}
	return sign(write(strings.Repeat("REMPLISSAGE ", (size-bare.Len())/12+1)[:size-bare.Len()+1]))
}

func keyOf(p igc.Pair) xmlsig.Key {
	return xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}
}

// startAnnuaire listens where the RPN asks for the insurer's address, once.
func (w *setting) startAnnuaire() error {
	year := time.Now().Year()
	rows, err := fictif.ParseYAML("annuaire.yaml", fmt.Appendf(nil,
		"lignes:\n  - {numero_amc: %q, nom: AMC FICTIVE, service: IDB, version: V2, url: \"https://%s:%s/roc\", debut: %d-01-01, fin: %d-12-31}\n",
		amcNumber, amcName, port(w.insurer.Addr().String()), year-1, year+1))
	if err != nil {
		return err
	}
	server, err := fictif.NewServer(fictif.Options{Rows: rows, Key: keyOf(w.pki.AMCSigner(igc.AMC, "ANNUAIRE FICTIF"))})
	if err != nil {
		return err
	}
	l, err := listenTLS(&tls.Config{Certificates: []tls.Certificate{w.pki.Server(igc.AMCTLS, annuaireName).TLS()}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return err
	}
	w.annuaire = l
	go (&http.Server{Handler: server, ErrorLog: log.New(io.Discard, "", 0)}).Serve(l)
	return nil
}
