package store

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

const bleue = roc.NumeroAMC("0099000003")

// call adds an exchange with that insurer, which fails by that reason; none: it
// is answered.
func (b *book) call(at time.Time, service roc.Service, reason roc.Reason) {
	b.callFor(at, service, reason, "")
}

// callFor is call, by a cause of the reason.
func (b *book) callFor(at time.Time, service roc.Service, reason roc.Reason, cause roc.CauseCode) {
	x := &journal.Exchange{Record: roc.Record{From: "1990000011", Service: service, Version: roc.V1, To: roc.Key{AMC: bleue}, RequestIn: at, RequestOut: at, AnswerOut: at, Outcome: roc.Answered, Origin: roc.FromAMC}}
	if reason != "" {
		x.Outcome, x.Origin, x.Reason, x.CauseCode = roc.Refused, roc.FromRPN, reason, cause
	}
	x.MustAct = x.Responsable()
	b.add(journal.Entry{Exchange: x})
}

// theDefinitionOfAnOutage is told case by case.
func theDefinitionOfAnOutage(t *testing.T, fresh func(*testing.T) *Store) {
	noon := monday.Add(12 * time.Hour)
	at := func(minute, second int) time.Time {
		return noon.Add(time.Duration(minute)*time.Minute + time.Duration(second)*time.Second)
	}
	outage := func(from, to int, failed int64) []Outage {
		o := Outage{From: time.Unix(at(from, 0).Unix(), 0), Failed: failed}
		if to > 0 {
			o.To = time.Unix(at(to, 0).Unix(), 0)
		}
		return []Outage{o}
	}
	several := func(b *book, n, minute, second int, reason roc.Reason) {
		for i := range n {
			b.call(at(minute, second+i), roc.IDB, reason)
		}
	}
	for _, c := range []struct {
		name string
		fill func(b *book)
		want Availability
	}{
		{"four exchanges measure nothing", func(b *book) { several(b, 4, 0, 0, roc.AMCBadAnswer) },
			Availability{Sent: 4, Failed: 4, Peak: 4}},
		{"one failure in five is out, and it is over when a measured window is not", func(b *book) {
			several(b, 4, 0, 0, "")
			several(b, 1, 0, 10, roc.AMCBadAnswer)
			several(b, 1, 5, 0, "") // too few to say that it is over
			several(b, 5, 10, 0, "")
		}, Availability{Measured: 2, Out: 1, Sent: 11, Failed: 1, FailedOut: 1, Peak: 5, Outages: outage(0, 10, 1)}},
		{"one in six is not", func(b *book) { several(b, 5, 0, 0, ""); several(b, 1, 0, 10, roc.AMCSilent) },
			Availability{Measured: 1, Sent: 6, Failed: 1, Peak: 6}},
		{"five without an answer in 30 s, over two windows, are out from the first", func(b *book) {
			several(b, 40, 4, 0, "")
			several(b, 3, 4, 57, roc.AMCUnreachable)
			several(b, 2, 5, 0, roc.AMCUnreachable)
		}, Availability{Measured: 2, Out: 2, Sent: 45, Failed: 5, FailedOut: 5, Peak: 43, Outages: outage(0, 0, 5)}},
		{"it holds until the insurer answers one", func(b *book) {
			several(b, 5, 0, 0, roc.AMCSilent)
			several(b, 1, 5, 0, roc.AMCResting)
			several(b, 1, 10, 0, "")
			several(b, 1, 15, 0, roc.AMCSilent)
			several(b, 9, 20, 0, "")
		}, Availability{Measured: 3, Out: 2, Sent: 17, Failed: 7, FailedOut: 6, Peak: 9, Outages: outage(0, 20, 7)}},
		{"five in more than 30 s are no rule, nor are bad answers", func(b *book) {
			for i := range 5 {
				b.call(at(0, 8*i), roc.IDB, roc.AMCSilent)
				b.call(at(0, 40), roc.CLC, roc.AMCNotSOAP)
			}
			several(b, 25, 1, 0, "")
		}, Availability{Measured: 1, Sent: 30, Failed: 5, Peak: 30}},
		{"what is not the insurer's counts for nothing", func(b *book) {
			several(b, 5, 0, 0, "")
			several(b, 9, 0, 10, roc.TooMany)
			several(b, 9, 0, 20, roc.StaleTimestamp)
		}, Availability{Measured: 1, Sent: 5, Peak: 5}},
		{"nor does what it was not given the time for", func(b *book) {
			several(b, 5, 0, 0, "")
			for i, c := range []roc.CauseCode{roc.DeadlineBefore, roc.NoTimeLeft, roc.StatedDelayBefore, roc.StatedDelayAfter} {
				for n := range 9 {
					b.callFor(at(0, 10*i+n), roc.IDB, roc.AMCSilent, c)
				}
			}
			b.callFor(at(0, 59), roc.IDB, roc.AMCSilent, roc.NoAnswerInTime)
		}, Availability{Measured: 1, Sent: 6, Failed: 1, Peak: 6}},
	} {
		b := &book{origin: "rpn.example/a"}
		c.fill(b)
		s := fresh(t)
		s.atOnce = 3 // what the rule goes on from is kept between transactions
		s.must(t, b)
		list, err := s.Availability(t.Context(), bleue, monday, monday.AddDate(0, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		c.want.Service = roc.IDB
		if len(list) > 0 {
			c.want.Windows = list[0].Windows // the naive recount holds it
		}
		if len(list) == 0 || !reflect.DeepEqual(list[0], c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, list, c.want)
		}
	}
}

// availabilityEqualsANaiveRecount plays weeks of an insurer that fails now and
// then, seen by two instances, projected in pieces of any size.
func availabilityEqualsANaiveRecount(t *testing.T, fresh func(*testing.T) *Store) {
	r := rand.New(rand.NewPCG(21, 21))
	books := []*book{{origin: "rpn.example/a"}, {origin: "rpn.example/b"}}
	s := fresh(t)
	s.atOnce = 97
	services := []roc.Service{roc.IDB, roc.CLC}
	bad := []roc.Reason{roc.AMCSilent, roc.AMCUnreachable, roc.AMCResting, roc.AMCBadAnswer}
	at, failing := monday.Add(20*time.Hour), false
	for range 3000 {
		if r.IntN(40) == 0 {
			failing = !failing
		}
		at = at.Add(time.Duration(r.IntN(20_000)) * time.Millisecond)
		var reason roc.Reason
		if failing && r.IntN(12) > 0 || r.IntN(30) == 0 {
			reason = bad[r.IntN(len(bad))]
		}
		b := books[r.IntN(2)]
		b.call(at, services[r.IntN(2)], reason)
		if r.IntN(50) == 0 {
			s.must(t, b)
		}
	}
	for _, b := range books {
		s.must(t, b)
	}
	from, to := monday.Add(21*time.Hour), monday.Add(30*time.Hour)
	got, err := s.Availability(t.Context(), bleue, from, to)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(services) {
		t.Fatalf("%d services", len(got))
	}
	for i, service := range services {
		type window struct {
			sent, failed int64
			five         bool
		}
		all := map[int64]*window{}
		for _, b := range books {
			var calls []*journal.Exchange // of this service, seen by this instance
			for _, e := range b.entries {
				if e.Exchange.Service == service {
					calls = append(calls, e.Exchange)
				}
			}
			silent := func(x *journal.Exchange) bool {
				return slices.Contains([]string{"RPN401", "RPN402", "RPN404"}, x.Code())
			}
			held := make([]bool, len(calls)) // the rule of five, by looking at every five
			for n := range calls {
				if n >= 4 && !slices.ContainsFunc(calls[n-4:n+1], func(x *journal.Exchange) bool { return !silent(x) }) && calls[n].RequestIn.Sub(calls[n-4].RequestIn) <= 30*time.Second {
					for k := n - 4; k < len(calls) && silent(calls[k]); k++ {
						held[k] = true
					}
				}
			}
			for n, x := range calls {
				w := x.RequestIn.Unix() / 300
				if all[w] == nil {
					all[w] = &window{}
				}
				all[w].sent++
				if x.Outcome == roc.Refused {
					all[w].failed++
				}
				all[w].five = all[w].five || held[n]
			}
		}
		want := Availability{Service: service}
		over := true
		for at := from; at.Before(to); at = at.Add(5 * time.Minute) {
			w := all[at.Unix()/300]
			if w == nil {
				continue
			}
			want.Windows++
			want.Sent, want.Failed, want.Peak = want.Sent+w.sent, want.Failed+w.failed, max(want.Peak, w.sent)
			out := w.five || w.sent >= 5 && float64(w.failed)/float64(w.sent) >= 0.2
			if out || w.sent >= 5 {
				want.Measured++
			}
			if out {
				want.Out, want.FailedOut = want.Out+1, want.FailedOut+w.failed
				if over {
					want.Outages = append(want.Outages, Outage{From: time.Unix(at.Unix(), 0)})
					over = false
				}
			} else if w.sent >= 5 && !over {
				want.Outages[len(want.Outages)-1].To = time.Unix(at.Unix(), 0)
				over = true
			}
			if !over {
				want.Outages[len(want.Outages)-1].Failed += w.failed
			}
		}
		if want.Out == 0 || want.Out == want.Measured || len(want.Outages) < 3 {
			t.Fatalf("this plays nothing: %+v", want)
		}
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("%s:\n got %+v\nwant %+v", service, got[i], want)
		}
	}
}
