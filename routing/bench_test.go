package routing_test

import (
	"testing"

	"github.com/piano-roc/rpn/internal/etablissements"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/routing"
)

func BenchmarkChoose(b *testing.B) {

	es := &etablissements.Etablissement{Etat: etablissements.Cercle}
	amc := &etablissements.AMC{Numeros: []roc.NumeroAMC{numero}, Etat: etablissements.AMCCercle, Domaines: []etablissements.DNSName{"amc.example"}}
	key, e := roc.Key{AMC: numero, Service: roc.CLC, Version: roc.V2}, entry("both")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := routing.Choose(es, amc, key, e, routing.Policy{}); err != nil {
			b.Fatal(err)
		}
	}
}
