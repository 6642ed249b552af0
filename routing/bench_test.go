package routing_test

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
)

func BenchmarkChoose(b *testing.B) {

	es := &register.Etablissement{Etat: register.Cercle}
	amc := &register.AMC{Numeros: []roc.NumeroAMC{numero}, Etat: register.AMCCercle, Ordinaire: register.AMCCercle, Domaines: []register.DNSName{"amc.example"}}
	key, e := roc.Key{AMC: numero, Service: roc.CLC, Version: roc.V2}, entry("both")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := routing.Choose(es, amc, key, e, routing.Policy{}); err != nil {
			b.Fatal(err)
		}
	}
}
