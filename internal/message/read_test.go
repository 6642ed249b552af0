package message_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, v := range []roc.Version{roc.V1, roc.V2} {
		idb, clc, sim, anl := exempleIDB(), exempleCLC(), exempleSIM(v), exempleANL(v)
		idb.Version, clc.Version, idb.Addressing = v, v, nil
		canonicalForm := func(d *message.Demande) {
			d.Adressage.AMC, _ = roc.ParseNumeroAMC(string(d.Adressage.AMC))
			d.Requete.Version = "R01"
			if v == roc.V1 {
				d.Etablissement.Champ, d.Etablissement.Statut = "", ""
			} else if d.Etablissement.Champ == "" {
				d.Etablissement.Champ, d.Etablissement.Statut = "MCO", "EX_DG"
			}
		}
		for _, d := range []*message.Demande{&idb.Demande, &clc.Demande, &sim.Demande, &anl.Demande} {
			canonicalForm(d)
		}
		same(t, idb)(message.ReadIDB(checked(t, idb.Envelope(soap.SOAP12))))
		same(t, clc)(message.ReadCLC(checked(t, clc.Envelope(soap.SOAP11))))
		same(t, sim)(message.ReadSIM(checked(t, sim.Envelope(soap.SOAP12))))
		same(t, anl)(message.ReadANL(checked(t, anl.Envelope(soap.SOAP11))))
	}
}

// same compares what was read with what was written; instants by their text.
func same[T any](t *testing.T, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
			return
		}
		for _, v := range []reflect.Value{reflect.ValueOf(&got).Elem(), reflect.ValueOf(&want).Elem()} {
			at := v.FieldByName("Requete").FieldByName("Date")
			at.Set(reflect.ValueOf(at.Interface().(time.Time).UTC()))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%T: read\n%+v\nwritten\n%+v", got, got, want)
		}
	}
}

func TestReadersNameTheField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"no adherent":       {"<numero_adherent>ADH0000001</numero_adherent>", "", "beneficiaire/numero_adherent"},
		"no beneficiary":    {"beneficiaire>", "assure>", "beneficiaire"},
		"a bad birth date":  {"1980-02-29", "29/02/1980", "beneficiaire/date_naissance"},
		"an impossible one": {"1980-02-29", "1981-02-29", "beneficiaire/date_naissance"},
		"a bad number":      {"<duree_moyenne_sejour>3<", "<duree_moyenne_sejour>-3<", "contexte/duree_moyenne_sejour"},
		"a bad AMC number":  {"77565712", "x", "adressage/numero_amc"},
		"a field twice":     {"<nom>FICTIF</nom>", "<nom>FICTIF</nom><nom>AUTRE</nom>", "beneficiaire/nom"},
	} {
		text := strings.ReplaceAll(string(exempleIDB().Envelope(soap.SOAP12).Bytes()), c.old, c.new)
		_, err := message.ReadIDB(checked(t, roc.NewContent([]byte(text))))
		var f *message.FieldError
		if !errors.As(err, &f) || f.Field != c.want {
			t.Errorf("%s: %v, not field %s", name, err, c.want)
		}
	}
	if _, err := message.ReadCLC(checked(t, exempleIDB().Envelope(soap.SOAP12))); !roc.IsRefused(err, roc.UnknownOperation) {
		t.Errorf("an IDB read as CLC: %v", err)
	}
}

func TestReadSearch(t *testing.T) {
	t.Parallel()
	want := exempleSearch()
	want.Adressage.AMC, want.Requete.Version = "0077565712", "R01"
	env, err := soap.Read(exempleSearch().Envelope(soap.SOAP11), soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	got, err := message.ReadSearch(env)
	if err != nil {
		t.Fatal(err)
	}
	got.Requete.Date, want.Requete.Date = got.Requete.Date.UTC(), want.Requete.Date.UTC()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, not %+v", got, want)
	}
	text := strings.Replace(string(exempleSearch().Envelope(soap.SOAP11).Bytes()), "77565712", "x", 1)
	var f *message.FieldError
	if _, err := message.ReadSearch(read(t, text)); !errors.As(err, &f) || f.Field != "paramsObj/adressage/numero_amc" {
		t.Errorf("a bad number: %v", err)
	}
	if _, err := message.ReadSearch(read(t, idbWith(""))); !roc.IsRefused(err, roc.UnknownOperation) {
		t.Errorf("an IDB: %v", err)
	}
}

func TestReadSearchAnswer(t *testing.T) {
	t.Parallel()
	got, err := message.ReadSearchAnswer(checked(t, exempleSearchAnswer().Envelope(soap.SOAP11)))
	if err != nil {
		t.Fatal(err)
	}
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	want := exempleSearchAnswer()
	if !got.Debut.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, paris)) || !got.Fin.Equal(time.Date(2026, 12, 31, 0, 0, 0, 0, paris)) {
		t.Errorf("validity %v to %v", got.Debut, got.Fin)
	}
	got.Debut, got.Fin = want.Debut, want.Fin
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, not %+v", got, want)
	}
	unknown := message.SearchAnswer{Code: message.RetourInconnu, Libelle: "Organisme inconnu"}
	if got, err := message.ReadSearchAnswer(checked(t, unknown.Envelope(soap.SOAP12))); err != nil || !reflect.DeepEqual(got, unknown) {
		t.Errorf("unknown: %+v, %v", got, err)
	}
}

func TestReadSearchAnswerRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]string{
		"no code":         {"<code>00</code>", ""},
		"two codes":       {"<code>00</code>", "<code>00</code><code>01</code>"},
		"no organisme":    {"organisme>", "autre>"},
		"a bad number":    {"0077565712", "77"},
		"a bad roc":       {"<roc>true</roc>", "<roc>oui</roc>"},
		"a bad date":      {"2026-12-31", "31/12/2026"},
		"an address less": {"<type_adresse>MEL</type_adresse>", ""},
		"an empty URL":    {"dre-es@oct.mutuelle-ans.example", ""},
		"two validities":  {"<adresses>", "<validite><debut>2026-01-01</debut></validite><adresses>"},
		"another answer":  {"searchResponse", "search"},
	} {
		text := string(exempleSearchAnswer().Envelope(soap.SOAP11).Bytes())
		m := strings.ReplaceAll(text, c[0], c[1])
		if m == text {
			t.Fatalf("%s: nothing to change", name)
		}
		if got, err := message.ReadSearchAnswer(checked(t, roc.NewContent([]byte(m)))); !roc.IsRefused(err, roc.AnnuaireRefused) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
