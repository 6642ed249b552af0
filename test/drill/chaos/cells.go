package chaos

import "github.com/piano-roc/rpn/internal/roc"

// A way is how a dependency fails.
type way struct{ name, nom string }

// The ways, as the drill and docs/operating/outages.md name them.
var (
	down      = way{"down", "coupé"}
	slow      = way{"slow", "lent"}
	flapping  = way{"flapping", "intermittent"}
	half      = way{"half answers", "réponses à moitié"}
	resets    = way{"resets", "connexions rompues"}
	blackHole = way{"black hole", "muet"}
)

var ways = []way{down, slow, flapping, half, resets, blackHole}

// A cell is one dependency that fails in one way, and what must come of it.
type cell struct {
	on  string // the dependency
	way way

	// codes are what who depends on it reads, exchange after exchange; "00" is the
	// answer of the insurer. Where the way is flapping, it is broken before each
	// exchange of an even number and sound before the others.
	codes string
	cause roc.CauseCode // of the first refusal
	whose roc.Responsable

	line   string // of /readyz, which is degraded; "": none
	unfit  bool   // and the instance is not ready
	spares bool   // the exchanges of others go on

	without string // why there is nothing to play; then nothing above counts
}

// answered is what the insurer answers.
const answered = "00"

// The dependencies: as the drill names them, and docs/operating/outages.md.
var dependencies = []struct{ name, nom string }{
	{"AMC", "organisme"}, {"annuaire", "annuaire"}, {"Redis", "Redis"}, {"CRL source", "liste de révocation"}, {"DNS", "DNS"}, {"disk", "disque"}, {"log sink", "lecteur du journal technique"},
}

var cells = []cell{
	{on: "AMC", way: down, codes: "RPN401 RPN401 RPN401 RPN404", cause: roc.ConnectionRefused, whose: roc.ByAMC, line: "amc", spares: true},
	{on: "AMC", way: slow, codes: answered, spares: true},
	{on: "AMC", way: flapping, codes: "RPN401 00 RPN401 00 RPN401 RPN404", cause: roc.ConnectionRefused, whose: roc.ByAMC, line: "amc", spares: true},
	{on: "AMC", way: half, codes: "RPN403 RPN401 RPN401 RPN404", cause: roc.AnswerCut, whose: roc.ByAMC, line: "amc", spares: true},
	{on: "AMC", way: resets, codes: "RPN403 RPN401 RPN401 RPN404", cause: roc.AnswerCut, whose: roc.ByAMC, line: "amc", spares: true},
	{on: "AMC", way: blackHole, codes: "RPN402 RPN401 RPN401 RPN404", cause: roc.NoAnswerInTime, whose: roc.ByAMC, line: "amc", spares: true},

	{on: "annuaire", way: down, codes: "RPN304", cause: roc.AnnuaireUnreachable, whose: roc.ByAnnuaire, line: "annuaire", spares: true},
	{on: "annuaire", way: slow, codes: answered, spares: true},
	{on: "annuaire", way: flapping, codes: "RPN304 00 RPN304 00", cause: roc.AnnuaireUnreachable, whose: roc.ByAnnuaire, spares: true},
	{on: "annuaire", way: half, codes: "RPN304", cause: roc.AnnuaireUnreachable, whose: roc.ByAnnuaire, line: "annuaire", spares: true},
	{on: "annuaire", way: resets, codes: "RPN304", cause: roc.AnnuaireUnreachable, whose: roc.ByAnnuaire, line: "annuaire", spares: true},
	{on: "annuaire", way: blackHole, codes: "RPN304", cause: roc.AnnuaireUnreachable, whose: roc.ByAnnuaire, line: "annuaire", spares: true},

	{on: "Redis", way: down, codes: answered, line: "redis", spares: true},
	{on: "Redis", way: slow, codes: answered, line: "redis", spares: true},
	{on: "Redis", way: flapping, codes: "00 00 00", line: "redis", spares: true},
	{on: "Redis", way: half, codes: answered, line: "redis", spares: true},
	{on: "Redis", way: resets, codes: answered, line: "redis", spares: true},
	{on: "Redis", way: blackHole, codes: answered, line: "redis", spares: true},

	{on: "CRL source", way: down, codes: answered, line: "revocation", spares: true},
	{on: "CRL source", way: slow, codes: answered, spares: true},
	{on: "CRL source", way: flapping, codes: "00 00 00", line: "revocation", spares: true},
	{on: "CRL source", way: half, codes: answered, line: "revocation", spares: true},
	{on: "CRL source", way: resets, codes: answered, line: "revocation", spares: true},
	{on: "CRL source", way: blackHole, codes: answered, line: "revocation", spares: true},

	{on: "DNS", way: down, codes: "RPN401", cause: roc.ResolverDown, whose: roc.ByRPN, line: "dns", spares: true},
	{on: "DNS", way: slow, codes: answered, spares: true},
	{on: "DNS", way: flapping, codes: "RPN401 00", cause: roc.ResolverDown, whose: roc.ByRPN, spares: true},
	{on: "DNS", way: half, codes: "RPN401", cause: roc.ResolverDown, whose: roc.ByRPN, line: "dns", spares: true},
	{on: "DNS", way: resets, codes: "RPN401", cause: roc.ResolverDown, whose: roc.ByRPN, line: "dns", spares: true}, // UDP has none: it answers SERVFAIL
	{on: "DNS", way: blackHole, codes: "RPN401", cause: roc.ResolverDown, whose: roc.ByRPN, line: "dns", spares: true},

	{on: "disk", way: down, codes: "RPN111", cause: roc.JournalFull, whose: roc.ByRPN, line: "journal", unfit: true},
	{on: "disk", way: flapping, codes: "RPN111 00", cause: roc.JournalFull, whose: roc.ByRPN},
	{on: "disk", way: slow, without: "no file system of a test machine is slow on demand; an exchange waits for its record, within its deadline"},
	{on: "disk", way: blackHole, without: "no file system of a test machine hangs on demand; what waits for its record has its deadline, and the watchdog restarts a process that hangs"},
	{on: "disk", way: half, without: "a write is whole or an error; what a cut leaves of one is found at the start (make drill-journal)"},
	{on: "disk", way: resets, without: "a disk has no connection"},

	{on: "log sink", way: slow, codes: answered, spares: true},
	{on: "log sink", way: flapping, codes: "00 00 00 00", spares: true},
	{on: "log sink", way: blackHole, codes: answered, line: "log", spares: true},
	{on: "log sink", way: down, codes: answered, line: "log", spares: true},
	{on: "log sink", way: half, without: "a sink answers nothing"},
	{on: "log sink", way: resets, without: "a pipe that is broken is one that is down"},
}
