package attempts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register/attempts"
)

const hopital, clinique = roc.StructureID("1990000031"), roc.StructureID("1990000021")

var morning = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func attempt(who roc.StructureID, n int) attempts.Attempt {
	at := morning.Add(time.Duration(n) * time.Minute)
	return attempts.Of(who, &roc.Record{
		ID: roc.ExchangeID(fmt.Sprintf("%s-%06d", who, n)), From: who, Service: roc.IDB, Version: roc.V1,
		To: roc.Key{AMC: "0099000001", Domaine: roc.HOSP}, AMCName: "Mutuelle ANS (validation)",
		RequestIn: at, AnswerOut: at.Add(time.Second), Outcome: roc.Answered, Origin: roc.FromAMC, FarStatus: 200, AnswerCheck: "good",
		RequestSHA256: [32]byte{1}, AnswerSHA256: [32]byte{2}, SignerSerial: "0a",
	})
}

func keep(t *testing.T, o attempts.Options, list ...attempts.Attempt) {
	t.Helper()
	o.OnError = func(err error) { t.Error(err) }
	s := attempts.Open(o)
	for _, a := range list {
		s.Keep(a)
	}
	s.Close()
	if s.Kept() != uint64(len(list)) || s.Lost() != 0 {
		t.Errorf("%d kept, %d lost of %d", s.Kept(), s.Lost(), len(list))
	}
}

func read(t *testing.T, dir string, q attempts.Query) []attempts.Attempt {
	t.Helper()
	list, unread, err := attempts.Read(dir, q)
	if err != nil || unread != 0 {
		t.Fatalf("%d lines unread, %v", unread, err)
	}
	return list
}

func TestAttemptsAreKeptAndFoundAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state", "accrochages")
	if list := read(t, dir, attempts.Query{}); len(list) != 0 {
		t.Errorf("nothing was kept: %v", list)
	}
	refused := attempts.Of(hopital, &roc.Record{ID: "r", From: hopital, RequestIn: morning.Add(time.Hour), Outcome: roc.Refused, Origin: roc.FromRPN, Reason: roc.BadSignature, Cause: "digest"})
	keep(t, attempts.Options{Dir: dir}, attempt(hopital, 2), attempt(clinique, 1), attempt(hopital, 1), refused)
	keep(t, attempts.Options{Dir: dir}, attempt(hopital, 3)) // after a restart

	all := read(t, dir, attempts.Query{})
	want := []attempts.Attempt{attempt(clinique, 1), attempt(hopital, 1), attempt(hopital, 2), attempt(hopital, 3), refused}
	if !reflect.DeepEqual(all, want) {
		t.Errorf(" got %+v\nwant %+v", all, want)
	}
	if one := read(t, dir, attempts.Query{Etablissement: clinique}); len(one) != 1 || one[0].Structure != clinique {
		t.Errorf("of one establishment: %v", one)
	}
	if late := read(t, dir, attempts.Query{Since: morning.Add(30 * time.Minute)}); len(late) != 1 || late[0].Code != "RPN212" || late[0].Succeeded() {
		t.Errorf("since: %+v", late)
	}
	if !all[0].Succeeded() {
		t.Error("an answer of the platform is a success")
	}
}

// An establishment that sends without end loses its own oldest attempts, and
// nobody else's.
func TestTheFileOfAnEstablishmentIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := attempts.Options{Dir: dir, FileBytes: 20_000}
	keep(t, o, attempt(clinique, 1))
	for round := range 10 {
		var some []attempts.Attempt
		for i := range 20 {
			some = append(some, attempt(hopital, round*20+i))
		}
		keep(t, o, some...)
	}
	list := read(t, dir, attempts.Query{Etablissement: hopital})
	if n := len(list); n < 20 || n >= 200 || list[n-1].Echange != attempt(hopital, 199).Echange {
		t.Fatalf("%d kept, to %s", n, list[n-1].Echange)
	}
	for i := 1; i < len(list); i++ {
		if list[i].RequestIn.Sub(list[i-1].RequestIn) != time.Minute {
			t.Errorf("a hole between %s and %s", list[i-1].Echange, list[i].Echange)
		}
	}
	var size int64
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if len(files) > 3 || size > 3*20_000+20*1000 {
		t.Errorf("%v, %d bytes", files, size)
	}
	if list := read(t, dir, attempts.Query{Etablissement: clinique}); len(list) != 1 {
		t.Errorf("the other one's are gone: %v", list)
	}
}

// A crash in the middle of a line costs that line, and no other.
func TestALineCutByACrashCostsItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := attempts.Options{Dir: dir}
	keep(t, o, attempt(hopital, 1), attempt(hopital, 2))
	file := filepath.Join(dir, string(hopital)+".jsonl")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.IndexByte(string(whole), '\n') + 1
	for cut := first + 1; cut < len(whole); cut += 37 {
		if err := os.WriteFile(file, whole[:cut], 0o640); err != nil {
			t.Fatal(err)
		}
		keep(t, o, attempt(hopital, 3))
		list, unread, err := attempts.Read(dir, attempts.Query{})
		// Cut just before its line break, the line is whole.
		if err != nil || len(list)+unread != 3 || len(list) < 2 || list[0].Echange != attempt(hopital, 1).Echange || list[len(list)-1].Echange != attempt(hopital, 3).Echange {
			t.Fatalf("cut at %d: %d read, %d unread, %v", cut, len(list), unread, err)
		}
	}
}

// The path of an exchange never waits for the disk: what it cannot take is
// counted.
func TestADiskThatFailsIsSaidAndStopsNobody(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said []error
	s := attempts.Open(attempts.Options{Dir: dir, Waiting: 2, OnError: func(err error) { mu.Lock(); said = append(said, err); mu.Unlock() }})
	for i := range 50 {
		s.Keep(attempt(hopital, i))
	}
	s.Close()
	s.Keep(attempt(hopital, 50)) // after the end
	if s.Kept() != 0 || s.Lost() != 51 || len(said) == 0 || !strings.Contains(said[0].Error(), string(hopital)) {
		t.Errorf("%d kept, %d lost, said %v", s.Kept(), s.Lost(), said)
	}
}

func TestOnlyAStructureBecomesAFileName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := attempts.Open(attempts.Options{Dir: filepath.Join(dir, "in")})
	s.Keep(attempts.Attempt{Etablissement: "../out", Echange: "x"})
	s.Close()
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 0 || s.Lost() != 1 {
		t.Errorf("%v", files)
	}
}

// Many exchanges end at once while somebody reads.
func TestManyKeepWhileOneReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := attempts.Open(attempts.Options{Dir: dir, FileBytes: 1 << 20})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				s.Keep(attempt(hopital, g*50+i))
				if i%10 == 0 {
					if _, _, err := attempts.Read(dir, attempts.Query{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	s.Close()
	if list := read(t, dir, attempts.Query{}); len(list) != 400 {
		t.Errorf("%d of 400", len(list))
	}
}

func BenchmarkKeep(b *testing.B) {
	s := attempts.Open(attempts.Options{Dir: b.TempDir()})
	defer s.Close()
	a := attempt(hopital, 1)
	b.ReportAllocs()
	for b.Loop() {
		s.Keep(a)
	}
}
