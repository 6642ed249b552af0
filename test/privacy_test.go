package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/proxy/http1"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// canary stands for what nobody may read in a log.
const canary = "KANARI-DUPONT"

// holders are the exported types that can hold a message or a part of it, each
// with the canary inside. TestEveryHolderOfAMessageIsTried keeps the list true.
func holders(t *testing.T) map[string]any {
	t.Helper()
	patient := message.Beneficiaire{NumeroAdherent: canary, Nom: canary, Prenom: canary, DateNaissance: canary}
	m := message.IDBRequest{Version: roc.V1, Demande: message.Demande{Beneficiaire: patient}}
	pki := igc.New(igc.Options{ECDSA: true})
	pair := pki.Sign("1990000011", "CHU FICTIF")
	signed, err := xmlsig.Sign(m.Envelope(soap.SOAP12), xmlsig.Key{Certificate: pair.Cert, Chain: pair.Chain, Signer: pair.Key}, xmlsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	env, err := soap.Read(signed, soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(env.Content().Bytes(), []byte(canary)) {
		t.Fatal("the canary is not in the message")
	}
	trust := xmlsig.NewTrust(trust.NewTrust(pki.Roots(igc.EtablissementSignature), pki.Intermediates(igc.EtablissementSignature)).Signature(nil))
	verifier := xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }})
	checked, err := verifier.Check(env, xmlsig.Policy{}, xmlsig.Expect{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id, _ := env.Body().Attr(soap.NSWSU, "Id")
	part, err := verifier.CanonicalPart(env, id)
	if err != nil || !bytes.Contains(part.Canonical.Bytes(), []byte(canary)) {
		t.Fatalf("the canary is not in the canonical Body: %v", err)
	}
	nom := env.Body().First().Path("beneficiaire", "nom")
	if text, _ := nom.Text(); text != canary {
		t.Fatalf("the node holds %q", text)
	}
	key, err := message.ParseDossierKey([]byte(canary + canary + canary)[:32])
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"internal/message.DossierKey":   key,
		"internal/roc.Content":          signed,
		"internal/soap.Envelope":        env,
		"internal/soap.Node":            nom,
		"internal/soap.C14N":            soap.C14N{Without: nom},
		"internal/xmlsig.Checked":       checked,
		"internal/xmlsig.Part":          part,
		"annuaire.Entry":                annuaire.Entry{Raw: signed},
		"annuaire.Searched":             annuaire.Searched{Body: signed},
		"internal/message.Beneficiaire": patient,
		"nation.Outcome":                nation.Outcome{Body: signed},
		"proxy/http1.Message":           http1.Message{Content: signed},
		"proxy/http1.Response":          http1.Response{Body: signed},
		"proxy/http1.Answer":            http1.Answer{Body: signed},
		"proxy/facade.Answer":           facade.Answer{Body: signed},
	}
}

// Message content lives in types that cannot be printed (profile section 9):
// by no verb, no logger, no encoder; alone, by pointer, in other types, and in
// a field that is not exported, of which fmt may not call the methods.
func TestAMessageCannotBePrinted(t *testing.T) {
	t.Parallel()
	for name, v := range holders(t) {
		type hidden struct{ inside any }
		p := reflect.New(reflect.TypeOf(v))
		p.Elem().Set(reflect.ValueOf(v))
		forms := map[string]any{
			"itself": v, "a pointer": p.Interface(), "in a slice": []any{v}, "in a map": map[string]any{"a": v},
			"in a struct": struct{ Exported any }{v},
		}
		if name != "internal/message.Beneficiaire" { // plain texts; the RPN makes none
			forms["in a hidden field"] = hiding(v)
			forms["in an interface in a hidden field"] = hidden{v}
		}
		for how, form := range forms {
			for output, text := range printed(t, form) {
				if wrong := output == "%w" || output == "%p"; wrong && name == "internal/message.Beneficiaire" {
					continue // fmt calls no method for them; vet refuses them
				}
				if shows(text) {
					t.Errorf("%s, %s, by %s shows the message: %.200s", name, how, output, text)
				}
			}
		}
	}
}

// hiding is a struct with v, of its own type, in a field that is not exported.
func hiding(v any) any {
	switch v := v.(type) {
	case roc.Content:
		return struct{ c roc.Content }{v}
	case *soap.Envelope:
		return struct{ e *soap.Envelope }{v}
	case message.DossierKey:
		return struct{ k message.DossierKey }{v}
	case soap.Node:
		return struct{ n soap.Node }{v}
	case soap.C14N:
		return struct{ c soap.C14N }{v}
	case *xmlsig.Checked:
		return struct{ c xmlsig.Checked }{*v}
	case xmlsig.Part:
		return struct{ p xmlsig.Part }{v}
	case annuaire.Searched:
		return struct{ a annuaire.Searched }{v}
	case annuaire.Entry:
		return struct{ e annuaire.Entry }{v}
	case nation.Outcome:
		return struct{ o nation.Outcome }{v}
	case http1.Message:
		return struct{ m http1.Message }{v}
	case http1.Response:
		return struct{ r http1.Response }{v}
	case http1.Answer:
		return struct{ a http1.Answer }{v}
	case facade.Answer:
		return struct{ a facade.Answer }{v}
	}
	panic(fmt.Sprintf("hiding: no case for %T", v))
}

// printed is v as every way of writing it gives it.
func printed(t *testing.T, v any) map[string]string {
	t.Helper()
	out := map[string]string{"fmt.Sprint": fmt.Sprint(v), "panic": recovered(v)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%+s", "%q", "%#q", "%x", "% x", "%X", "%#x", "%d", "%o", "%c", "%U", "%t", "%p", "%w", "%20.500s"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	out["%w of an error"] = fmt.Errorf("%w: %v", fs.ErrInvalid, v).Error()
	var text, js bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&js, nil)).Info("x", "v", v, slog.Group("g", "v", v))
	out["slog text"], out["slog JSON"] = text.String(), js.String()
	b, err := json.Marshal(v)
	out["json.Marshal"] = fmt.Sprint(string(b), err)
	return out
}

// recovered is what is written of a panic with that value.
func recovered(v any) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	panic(v)
}

// shows reports whether the canary is in a text, as programs write bytes.
func shows(text string) bool {
	spaced := fmt.Sprintf("% x", canary)
	for _, form := range []string{
		canary, fmt.Sprintf("%x", canary), spaced, strings.ReplaceAll(spaced, " ", ", 0x"), strings.ReplaceAll(spaced, " ", " 0x"),
		strings.Trim(fmt.Sprint([]byte(canary)), "[]"), strings.Trim(fmt.Sprintf("%o", []byte(canary)), "[]"),
		strings.Join(strings.Split(canary, ""), " "), strings.Trim(fmt.Sprintf("%U", []rune(canary)), "[]"),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			return true
		}
	}
	for shift := range 3 {
		b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary))
		if strings.Contains(text, b[4:12]) {
			return true
		}
	}
	return false
}

// The test must be able to see.
func TestAPrintedMessageIsSeen(t *testing.T) {
	t.Parallel()
	for how, v := range map[string]any{
		"text": "<nom>" + canary, "bytes": []byte("<nom>" + canary), "a hidden field": struct{ b []byte }{[]byte("<nom>" + canary)},
	} {
		seen := 0
		for _, text := range printed(t, v) {
			if shows(text) {
				seen++
			}
		}
		if seen < 8 {
			t.Errorf("%s is seen in %d outputs only", how, seen)
		}
	}
}

// Every exported struct with a message in one of its own fields is in holders.
func TestEveryHolderOfAMessageIsTried(t *testing.T) {
	t.Parallel()
	tried := holders(t)
	holds := []string{"roc.Content", "Content", "*soap.Envelope", "*Envelope", "soap.Node", "Node", "*xmlsig.Checked", "*Checked", "Beneficiaire", "message.Beneficiaire"}
	found := map[string]bool{}
	for _, dir := range topFolders(t) {
		if dir == "test" {
			continue
		}
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for name := range structsWith(file, holds) {
				found[filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), ".."+string(filepath.Separator)))+"."+name] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, excused := range []string{
		"internal/message.Demande", // its Beneficiaire masks itself
		"internal/soap.ID",         // the value of an Id: test/scenarios puts canaries there
	} {
		if !found[excused] {
			t.Errorf("%s holds no message any more: take it off this list", excused)
		}
		delete(found, excused)
	}
	for name := range found {
		if tried[name] == nil {
			t.Errorf("%s can hold a message: give it a line in holders, in this file", name)
		}
	}
	if len(found) < 5 {
		t.Errorf("only %v were found", found)
	}
}

// structsWith are the exported structs of a file with a field of those types.
func structsWith(file *ast.File, types []string) map[string]bool {
	found := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok || !spec.Name.IsExported() {
			return true
		}
		for _, f := range s.Fields.List {
			if slices.Contains(types, typeName(f.Type)) {
				found[spec.Name.Name] = true
			}
		}
		return true
	})
	return found
}

// typeName writes a type as the source does; "" for what is none of ours.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + typeName(e.X)
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	case *ast.ArrayType:
		return typeName(e.Elt)
	}
	return ""
}
