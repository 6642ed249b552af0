package store

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// Of many that tell an outage, or its end, one does, with its letters; another
// outage may follow, and none within one that is told.
func anOutageIsToldOnce(t *testing.T, fresh func(*testing.T) *Store) {
	s := fresh(t)
	o := AnnouncedOutage{AMC: "0099000003", Began: monday, Services: []roc.Service{roc.IDB}, Announced: monday.Add(time.Minute), Over: monday.Add(10 * time.Minute), Ended: monday.Add(20 * time.Minute)}
	letter := func(id string) []Letter {
		return []Letter{{ID: id, Kind: "panne", For: "exploitant", About: "x", Next: o.Announced, Expires: o.Announced.Add(time.Hour)}}
	}
	many := func(do func() (bool, error)) (n int) {
		var mu sync.Mutex
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				ok, err := do()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					n++
				}
			})
		}
		running.Wait()
		return n
	}
	if n := many(func() (bool, error) { return s.BeginOutage(t.Context(), &o, letter("panne")) }); n != 1 {
		t.Errorf("told %d times", n)
	}
	other := o
	other.Began = monday.Add(5 * time.Minute)
	if told, err := s.BeginOutage(t.Context(), &other, letter("second")); told || err != nil {
		t.Errorf("told within another one: %v", err)
	}
	wide := o
	wide.Services = []roc.Service{roc.IDB, roc.CLC}
	if err := s.WidenOutage(t.Context(), &wide); err != nil {
		t.Fatal(err)
	}
	if n := many(func() (bool, error) { return s.EndOutage(t.Context(), &o, letter("retour")) }); n != 1 {
		t.Errorf("its end was told %d times", n)
	}
	if told, err := s.BeginOutage(t.Context(), &o, letter("again")); told || err != nil {
		t.Errorf("told again: %v", err)
	}
	list, err := s.Letters(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("the letters are %+v, %v", list, err)
	}
	got, known, err := s.Outage(t.Context(), o.AMC, o.Began)
	if err != nil || !known || !got.Over.Equal(o.Over) || !got.Ended.Equal(o.Ended) || !slices.Equal(got.Services, wide.Services) {
		t.Errorf("it is %+v, %v", got, err)
	}
	other.Began = o.Ended
	if told, err := s.BeginOutage(t.Context(), &other, nil); !told || err != nil {
		t.Errorf("the next one is not told: %v", err)
	}
	// What the instances have of it.
	b := &book{origin: "rpn.example/a"}
	x := &journal.Exchange{}
	x.RequestIn, x.AnswerOut = monday.Add(time.Minute), monday.Add(time.Minute)
	b.add(journal.Entry{Exchange: x})
	s.must(t, b)
	if _, waited, err := s.Replays(t.Context(), &o, "1990000001"); err != nil || waited != 1 {
		t.Errorf("%d are waited for, %v", waited, err)
	}
	for range 2 {
		if err := s.PutReplays(t.Context(), &o, b.origin, []Replay{{Recipient: "1990000001", Rows: "a\r\n", Missed: 2}}); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := s.Contributed(t.Context(), &o, b.origin); !done || err != nil {
		t.Error(done, err)
	}
	if list, waited, err := s.Replays(t.Context(), &o, "1990000001"); err != nil || waited != 0 || len(list) != 1 || list[0].Missed != 2 || list[0].Rows != "a\r\n" {
		t.Errorf("%+v, %d, %v", list, waited, err)
	}
	if err := s.Prune(t.Context(), o.Ended.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	left, err := s.Outages(t.Context(), time.Time{})
	if err != nil || len(left) != 1 || !left[0].Began.Equal(other.Began) {
		t.Errorf("left: %+v, %v", left, err)
	}
	if done, err := s.Contributed(t.Context(), &o, b.origin); done || err != nil {
		t.Error("its exchanges are left", err)
	}
}

// The state of a service is that of the definition of an outage.
func theStateOfAService(t *testing.T, fresh func(*testing.T) *Store) {
	s := fresh(t)
	b := &book{origin: "rpn.example/a"}
	call := func(minute int, service roc.Service, n int, bad bool) {
		for i := range n {
			x := &journal.Exchange{}
			x.From, x.To.AMC, x.Service, x.Version, x.Outcome = "1990000001", "0099000003", service, roc.V2, roc.Answered
			if bad {
				x.Outcome, x.Reason, x.MustAct = roc.Refused, roc.AMCSilent, roc.ByAMC
			}
			x.RequestIn = monday.Add(time.Duration(minute)*time.Minute + time.Duration(i)*time.Second)
			x.RequestOut, x.AnswerOut = x.RequestIn, x.RequestIn
			b.add(journal.Entry{Exchange: x})
		}
	}
	call(0, roc.IDB, 5, false)
	call(5, roc.IDB, 6, true)
	call(5, roc.CLC, 5, true)
	call(10, roc.IDB, 4, false) // not measured
	call(15, roc.CLC, 5, false)
	s.must(t, b)
	got, err := s.States(t.Context(), monday, monday.Add(time.Hour))
	at := func(m int) time.Time { return time.Unix(monday.Add(time.Duration(m)*time.Minute).Unix(), 0) }
	want := []ServiceState{
		{AMC: "0099000003", Service: roc.IDB, Out: true, Since: at(5), Measured: at(5), Failed: 6},
		{AMC: "0099000003", Service: roc.CLC, Since: at(5), Over: at(15), Measured: at(15), Failed: 5},
	}
	if roc.CLC < roc.IDB {
		slices.Reverse(want)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
