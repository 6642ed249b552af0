package scenarios

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// rpn runs a command that must exit with that code, and returns what it said.
func rpn(t *testing.T, code int, args ...string) string {
	t.Helper()
	p := nation.Run(t, args...)
	p.WantExit(code)
	return p.Output.String() + p.Errors.String()
}

// journalOf is the folder of the journal of a country.
func journalOf(n *nation.Nation) string { return n.File("rpn/state/journal") }

// prove waits for the seal and writes the proof of an exchange.
func prove(t *testing.T, n *nation.Nation, r *nation.Reply) (proof string) {
	t.Helper()
	proof = filepath.Join(t.TempDir(), "echange.tlog-proof")
	await.Until(t, "the record is sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })
	rpn(t, 0, "journal", "prove", r.Header.Get("RPN-Echange"), "--dir", journalOf(n), "-o", proof)
	return proof
}

func keep(t *testing.T, name string, b []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEachExchangeHasAReceiptThatIsProvedOffline(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, unknown := n.Etablissement(), n.Etablissement(nation.Unregistered)
	answered := chu.Send(roc.CLC, "bleue").WantAnswer()
	refused := chu.Send(roc.IDB, "0099000099").WantRefused(roc.UnknownAMC)
	stranger := unknown.Send(roc.IDB, "bleue").WantRefused(roc.UnknownStructure)
	for _, r := range []*nation.Reply{answered, refused, stranger} {
		if got := r.Header.Get("RPN-Recu"); !strings.HasPrefix(got, "rpn.example/journal/demo; index=") || !strings.Contains(got, "; leaf=") {
			t.Errorf("the receipt is %q", got)
		}
	}
	proof, key := prove(t, n, answered), filepath.Join(journalOf(n), "key.pub")
	request, answer := keep(t, "requete.xml", answered.Sent), keep(t, "reponse.xml", answered.Body.Bytes())
	said := rpn(t, 0, "receipt", "verify", "--key", key, "--proof", proof, "--request", request, "--answer", answer)
	for _, want := range []string{"preuve valable", "service CLC", "l'organisme a répondu", "la requête donnée est, octet pour octet", "la réponse donnée est, octet pour octet"} {
		if !strings.Contains(said, want) {
			t.Errorf("the verification does not say %q:\n%s", want, said)
		}
	}
	// One byte of a message, of the proof, or another key: it is none.
	altered := append([]byte{}, answered.Sent...)
	altered[len(altered)/2] ^= 1
	rpn(t, 1, "receipt", "verify", "--key", key, "--proof", proof, "--request", keep(t, "autre.xml", altered))
	rpn(t, 1, "receipt", "verify", "--key", key, "--proof", proof, "--answer", request)
	b, err := os.ReadFile(proof)
	if err != nil {
		t.Fatal(err)
	}
	rpn(t, 1, "receipt", "verify", "--key", key, "--proof", keep(t, "p", []byte(strings.Replace(string(b), "index ", "index 1", 1))))
	other := keep(t, "autre.pub", nil)
	p := nation.Run(t, "journal", "key", "--origin", "rpn.example/journal/demo")
	p.WantExit(0)
	if err := os.WriteFile(other, []byte(p.Errors.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	rpn(t, 1, "receipt", "verify", "--key", other, "--proof", proof)
}

func TestTheJournalIsReadSearchedAndVerified(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("log", "exchanges: false"))
	chu, chr := n.Etablissement(), n.Etablissement()
	r := chu.Send(roc.IDB, "bleue")
	for range 3 {
		chr.Send(roc.CLC, "verte")
	}
	chr.Send(roc.CLC, "0099000099")
	dir, key := journalOf(n), filepath.Join(journalOf(n), "key.pub")
	await.Until(t, "it is sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })
	for want, args := range map[string][]string{
		`"echange":"` + r.Header.Get("RPN-Echange"): {"journal", "cat", "--dir", dir, "--json"},
		"service IDB":                {"exchange", r.Header.Get("RPN-Echange"), "--dir", dir},
		"refusé par le RPN : RPN301": {"exchange", chr.Send(roc.CLC, "0099000099").Header.Get("RPN-Echange"), "--dir", dir},
		"intègre":                    {"journal", "verify", "--dir", dir, "--key", key},
	} {
		if said := rpn(t, 0, args...); !strings.Contains(said, want) {
			t.Errorf("%v does not say %q:\n%s", args, want, said)
		}
	}
	finess, _ := roc.StructureID("1" + string(chr.EJ)).FINESS()
	for want, filter := range map[int][]string{
		5: {"--structure", string(finess)},
		3: {"--structure", string(finess), "--outcome", "answered"},
		2: {"--code", "RPN301"},
		1: {"--service", "IDB", "--from", "2020-01-01"},
	} {
		said := rpn(t, 0, append([]string{"journal", "find", "--dir", dir}, filter...)...)
		if got := strings.Count(said, "\n"); got != want {
			t.Errorf("%v finds %d, want %d:\n%s", filter, got, want, said)
		}
	}
	rpn(t, 1, "journal", "find", "--dir", dir, "--id", "00000000-0000-7000-8000-000000000000")
	if lines := n.Lines("exchange"); len(lines) > 0 {
		t.Errorf("log.exchanges is false, and the log has %d lines of exchanges", len(lines))
	}
	// One byte of a record.
	file := filepath.Join(dir, "segment-000000000000.open")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copyDir := t.TempDir()
	if err := os.CopyFS(copyDir, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	b[4096+280*2+100] ^= 4
	if err := os.WriteFile(filepath.Join(copyDir, filepath.Base(file)), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := rpn(t, 1, "journal", "verify", "--dir", copyDir, "--key", key); !strings.Contains(said, "l'enregistrement 2 a été modifié") {
		t.Errorf("the change is not told:\n%s", said)
	}
	// What cannot be read is not altered: a link to a folder in its place.
	if err := errors.Join(os.Remove(filepath.Join(copyDir, filepath.Base(file))), os.Symlink(t.TempDir(), filepath.Join(copyDir, filepath.Base(file)))); err != nil {
		t.Fatal(err)
	}
	if said := rpn(t, 2, "journal", "verify", "--dir", copyDir, "--key", key); !strings.Contains(said, "NON VÉRIFIÉ") || strings.Contains(said, "ANOMALIE") {
		t.Errorf("what cannot be read is not told as such:\n%s", said)
	}
	if said := rpn(t, 1, "journal", "find", "--dir", copyDir); !strings.Contains(said, "the search is not complete") {
		t.Errorf("a search that is not complete says\n%s", said)
	}
}

func TestAKilledRPNHasLostNoAnsweredExchange(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	var replies []*nation.Reply
	for range 3 {
		for range 4 {
			replies = append(replies, chu.Send(roc.IDB, "bleue").WantAnswer())
		}
		n.Crash()
	}
	await.Until(t, "the old segments are closed", func() bool {
		return n.Metric(`rpn_journal_segments{state="closed"}`) == "3" && n.Metric("rpn_journal_unsealed_records") == "0"
	})
	dir, key := journalOf(n), filepath.Join(journalOf(n), "key.pub")
	for _, r := range replies {
		proof := prove(t, n, r)
		rpn(t, 0, "receipt", "verify", "--key", key, "--proof", proof, "--request", keep(t, "requete.xml", r.Sent))
	}
	if said := rpn(t, 0, "journal", "verify", "--dir", dir, "--key", key); !strings.Contains(said, fmt.Sprint(len(replies), " échanges")) {
		t.Errorf("the verification says\n%s", said)
	}
}

func TestACallerThatLeftIsToldByTheJournal(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	sent := chu.Send(roc.IDB, "bleue").WantAnswer().Sent
	bleue.Hold()
	c := dial(t, n, chu.TLS)
	c.say(fmt.Sprintf("POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n%s", len(sent), sent))
	await.Until(t, "it is at the insurer", func() bool { return bleue.Received() == 2 })
	c.Close()
	bleue.Release()
	await.Until(t, "the exchange is in the log", func() bool { return len(n.Lines("exchange")) == 2 })
	id := n.Lines("exchange")[1].Text("record.echange")
	var said string
	await.Until(t, "the journal says that the caller had left", func() bool {
		said = rpn(t, 0, "exchange", id, "--dir", journalOf(n))
		return strings.Contains(said, "appris ensuite") || strings.Contains(said, "l'appelant est parti")
	})
}

// An RPN that may not go on without a trace does not start without one.
func TestAJournalOfAnotherKeyKeepsTheRPNFromStarting(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	n.Etablissement().Send(roc.IDB, "bleue").WantAnswer()
	await.Until(t, "it is sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })
	copyDir := t.TempDir()
	if err := os.CopyFS(copyDir, os.DirFS(journalOf(n))); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(copyDir, "key"))
	n.Edit("rpn.yaml", "origin: rpn.example/journal/demo", "origin: rpn.example/journal/demo\n  folder: "+copyDir)
	n.RPN().Stop()
	p := nation.Run(t, "serve", "--config", n.ConfigFile())
	p.WantExit(2)
	if said := p.Errors.String(); !strings.Contains(said, "not signed by the key given") {
		t.Errorf("it says\n%s", said)
	}
}
