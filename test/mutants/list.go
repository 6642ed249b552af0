package main

// list is what must not live. Each room begins with what decides.
var list = []mutant{
	// Fresh, stale, outage.
	{"annuaire/directory.go", "age < min(d.o.TTL+d.o.Stale, d.o.MaxAge)", "age <= d.o.MaxAge", "Fresh|Stale|Bounds|Quiet"},
	{"annuaire/directory.go", "case age >= d.o.MaxAge:", "case age > 2*d.o.MaxAge:", "Fresh|Stale|Bounds|Age|Disk|Outage"},
	{"annuaire/directory.go", "settled := m.at <= momentOf(now) && m.facts.current()", "settled := m.at <= momentOf(now)", "Moved|Moves|Long|Quiet|Bounds|Sharing|Key"},
	{"annuaire/directory.go", "settled := m.at <= momentOf(now) && m.facts.current()", "settled := m.facts.current()", "Clock"},
	{"annuaire/directory.go", "left > 0 && left <= d.o.NegativeTTL", "left > 0", "Clock"},
	{"annuaire/directory.go", "(m.facts.end == 0 || now.UnixNano() < m.facts.end)", "true", "Valid|LastDay|Stale|Mutant"},
	// Sharing.
	{"annuaire/news.go", "if n.seq < was {", "if n.seq < was && false {", "Storm|Rollback|Shared|News|Older|Mutant|Twice"},
	{"annuaire/news.go", "if number <= p.counter {", "if false {", "Storm|Twice|Played|News|Rollback|Mutant"},
	{"annuaire/news.go", "if from == s.talk.me {", "if false {", "Storm|Own|News|Withdrawn"},
	{"annuaire/news.go", "if n.says != (digest{}) {\n\t\td.unknown.change", "if false {\n\t\td.unknown.change", "Withdrawn|Unknown|Published|Mutant"},
	{"annuaire/news.go", "if route.raise(n.seq) {\n\t\td.movedOn(k.AMC, n.seq)\n\t}", "route.raise(n.seq)", "Search"},
	{"annuaire/renew.go", "if err == nil && s.seq < route.seq.Load() {", "if false {", "Rollback|Shared|Older"},
	{"annuaire/renew.go", "had && momentOf(e.At) <= previous.at {", "had && previous.at == 1 {", "Shared|Older|Unknown|Mutant"},
	{"annuaire/renew.go", "return left > 0 && left <= longestRetry", "return left > 0", "Clock"},
	{"annuaire/stats.go", "return left > 0 && left <= longestRest", "return left > 0", "Clock|Rest"},
	// Searches.
	{"annuaire/search.go", "a.seq >= d.searchSequence(s.AMC):", "true:", "Search"},
	{"annuaire/search.go", "if err == nil && kept.seq < seq {", "if false {", "Search"},
	{"annuaire/search.go", "case age >= 0 && now.Before(a.Until)", "case now.Before(a.Until)", "Search|Clock"},
	{"annuaire/search.go", "alone := s.ID == ([32]byte{})", "alone := false", "Search|Remembered"},
	{"annuaire/accept.go", "d.movedOn(k.AMC, next)", "_ = next", "Search"},
	// Limits.
	{"limits/quota/central.go", "&& !c.left", "", "Leaves|Script|Restart"},
	{"limits/quota/central.go", "!d.Lost && !c.unheard &&", "!d.Lost &&", "Leaves|Script"},
	{"limits/quota/central.go", "case seen > at: ", "case seen > at && false: ", "Script"},
	{"limits/quota/central.go", "given /= 2 // ", "given /= 1 // ", "Script|Interval"},
	// Account.advance without max(now, a.last) is equivalent: an expired slice is
	// dropped already, and ownAt and Idle guard themselves.
	{"limits/buckets.go", "case ahead > wentBack:", "case false:", "Clock"},
	{"limits/buckets.go", "case ahead > 0:", "case false:", "Once|Contract"},
	{"limits/buckets.go", "b.tokens.AllowN(at, 0)", "", "Clock"},
	{"limits/buckets.go", "s.sweep.Sub(at) > s.idle ||", "", "Clock"},
	{"limits/breaker/breaker.go", "b.since, b.until = at, at.Add(b.rest)", "b.since = at", "Clock"},
	{"limits/breaker/breaker.go", "b.window = window{}\n", "\n", "Clock"},
	{"limits/replay/local.go", "if s.last.Before(at) {", "if false {", "Sweep|Clock|Idle"},
	{"limits/replay/local.go", "ahead := s.at-now > int64(wentBack)", "ahead := false", "Clock"},
	// The façade's addresses.
	{"proxy/facade/facade.go", "q.amc != \"\" && answer.AMC != q.amc", "false", "."},
	{"proxy/facade/facade.go", "Until: a.At.Add(checked.Until().Sub(a.At) / 2)", "Until: a.At.Add(checked.Until().Sub(a.At))", "."},
	{"proxy/facade/question.go", "if _, addressed := message.AddressingOf(env); addressed {", "if false {", "."},
	{"proxy/facade/token.go", "case !at.Before(k.until):", "case false:", "Token"},
	{"proxy/facade/token.go", "case k.structure != es:", "case false:", "Token"},
	{"proxy/facade/token.go", "k.amc == key.AMC && ", "", "Token"},
}
