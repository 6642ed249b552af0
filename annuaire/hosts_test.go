package annuaire_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
)

func named(amc roc.NumeroAMC, urls ...string) annuaire.Entry {
	e := annuaire.Entry{AMC: amc, ROC: true}
	for _, u := range urls {
		e.Adresses = append(e.Adresses, annuaire.Adresse{Service: roc.IDB, Version: roc.V1, URL: u})
	}
	return e
}

func TestHostsAreRememberedOverARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hotes.jsonl")
	open := func() *annuaire.Hosts {
		h, err := annuaire.OpenHosts(path)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	day := func(n int) time.Time { return time.Date(2026, 11, n, 8, 0, 0, 0, time.UTC) }
	h := open()
	h.Note(named("0075500025", "https://ROC.amc.example:8443/idb", "https://roc.amc.example/clc", "://", "https:///", "not a url"), day(1))
	h.Note(named("0075500025", "https://roc.amc.example/idb"), day(3))
	h.Note(named("0075500025", "https://roc.amc.example/idb"), day(2)) // an answer that comes late
	h.Note(named("0075500033", "https://roc.amc.example/idb", "http://192.0.2.1/"), day(2))
	if err := h.Save(); err != nil {
		t.Fatal(err)
	}
	want := []annuaire.Host{
		{"0075500025", "roc.amc.example", day(1), day(3)},
		{"0075500033", "192.0.2.1", day(2), day(2)},
		{"0075500033", "roc.amc.example", day(2), day(2)},
	}
	h = open()
	if got := h.List(); !reflect.DeepEqual(got, want) {
		t.Errorf(" got %v\nwant %v", got, want)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Save(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("nothing has changed, and yet it was written: %v", err)
	}
	h.Note(named("0075500033", "https://roc.amc.example/"), day(9))
	if err := h.Save(); err != nil || open().List()[2].Last != day(9) {
		t.Errorf("%v, %v", err, open().List())
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(rest) != 1 {
		t.Errorf("left behind: %v", rest)
	}
}

func TestABadFileOfHostsIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hotes.jsonl")
	if err := os.WriteFile(path, []byte(`{"amc":"0075500025","hote":"a.example"}`+"\n{\"amc\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := annuaire.OpenHosts(path); err == nil || !strings.Contains(err.Error(), path+":2") {
		t.Errorf("%v", err)
	}
}

func TestHostsNobodyCanWriteAreTriedAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	h, err := annuaire.OpenHosts(filepath.Join(dir, "hotes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var together sync.WaitGroup
	for range 4 {
		together.Go(func() { h.Note(named("0075500025", "https://a.example/"), time.Unix(1, 0)) })
	}
	together.Wait()
	if err := h.Save(); err == nil {
		t.Fatal("the folder is not there")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.Save(); err != nil {
		t.Fatal(err)
	}
	if list, err := annuaire.ReadHosts(filepath.Join(dir, "hotes.jsonl")); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}
