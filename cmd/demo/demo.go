package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/nation"
)

// options are the flags.
type options struct {
	once       bool
	dir        string
	noColor    bool
	withoutRPN bool
}

func demoCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a small nation on this machine: PKI, annuaire, insurers, establishments and the RPN",
		Long: `Demo makes throw-away certificates, starts an annuaire, four insurers and the
RPN on loopback ports, and plays a day in small: establishments in every state
send signed messages, some of which must be refused; one is put out while it is
connected, and the RPN's certificate is renewed; an insurer falls and is left to
rest, and a hospital sends far too much while the others work. It prints what came of
each, where everything listens, how to look at its pages in a browser, and five
commands to copy; then it keeps light
traffic going until Ctrl-C. With --once it ends instead with what the day leaves:
the outage of that insurer and its end told (the clock of the nation is moved on
for it), a receipt verified without the RPN, the figures of an establishment, and its
journal verified.

Everything is fictitious. Nothing is left behind, unless --dir keeps it.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.once, "once", false, "play the day once; exit with 0 when everything went as expected")
	f.StringVar(&o.dir, "dir", "", "keep keys and configuration in this directory, and use what is already there")
	f.BoolVar(&o.noColor, "no-color", false, "print without colours (also: NO_COLOR=1)")
	f.BoolVar(&o.withoutRPN, "without-rpn", false, "run the annuaire and the insurers of --dir only: the RPN is run by `rpn serve`")
	cmd.MarkFlagDirname("dir")
	return cmd
}

func demo(ctx context.Context, o options, out io.Writer) (err error) {
	if o.withoutRPN && (o.dir == "" || o.once) {
		return usage(errors.New("--without-rpn goes with --dir, and without --once"))
	}
	p := newPrinter(out, o.noColor)
	n, err := nation.New(nation.Options{Dir: o.dir, Portal: true, Outage: o.once, WithoutRPN: o.withoutRPN, Version: "demo"})
	if err != nil {
		return usage(err)
	}
	defer func() {
		if e := n.Close(); e != nil {
			err = errors.Join(err, e)
		}
	}()
	if o.withoutRPN {
		p.around(n)
		<-ctx.Done()
		return nil
	}
	p.head()
	day, wrong, err := playDay(ctx, n, p)
	if ctx.Err() != nil {
		return nil // Ctrl-C
	}
	if err != nil {
		return err
	}
	if o.once {
		p.end(n, wrong)
		if wrong == nil {
			return p.proofs(ctx, n, day)
		}
	} else {
		p.places(n, o.dir)
		p.pages(n)
		p.commands(n)
	}
	if wrong != nil {
		return wrong
	}
	if !o.once {
		p.traffic(ctx, n)
	}
	return nil
}

// playDay plays every scene and returns them, and the first that did not go as
// expected.
func playDay(ctx context.Context, n *nation.Nation, p *printer) (day []nation.Scened, wrong, err error) {
	for i, s := range nation.Day() {
		played, err := n.Play(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		if ctx.Err() != nil {
			return day, wrong, nil
		}
		p.row(played)
		day = append(day, played)
		if wrong == nil && !played.AsExpected() {
			wrong = fmt.Errorf("scene %d (%s, %s %s to %s) should have ended with %s: %s",
				i+1, played.Nom, s.Service, s.Version, played.AMCName, s.Want, played.Outcome)
		}
	}
	return day, wrong, nil
}

// A printer writes the table and what follows, in colour on a terminal.
type printer struct {
	out    io.Writer
	colour bool
}

func newPrinter(out io.Writer, noColor bool) *printer {
	f, ok := out.(*os.File)
	if ok {
		info, err := f.Stat()
		ok = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return &printer{out, ok && !noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// The colours: green for an answer, yellow for a refusal that was meant, red
// only for what should not be.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	bold   = "1"
	dim    = "2"
)

func (p *printer) paint(colour, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

func (p *printer) head() {
	fmt.Fprintln(p.out, p.paint(bold, pad("Établissement", 28)+pad("Service", 15)+pad("Organisme", 27)+pad("ms", 6)+"Issue"))
}

func (p *printer) row(s nation.Scened) {
	service := fmt.Sprintf("%s %s %s", s.Service, s.Version, s.SOAP)
	fmt.Fprintf(p.out, "%s%s%s%s%s\n", pad(s.Nom, 28), pad(service, 15), pad(s.AMCName, 27),
		pad(fmt.Sprintf("%.1f", float64(s.Outcome.Took.Microseconds())/1000), 6), p.outcome(s))
}

// outcome says what came of a scene, in French.
func (p *printer) outcome(s nation.Scened) string {
	got, text := s.Got(), firstSentence(s.Outcome.Libelle)
	colour := yellow
	switch {
	case !s.AsExpected():
		colour = red
		text += " (attendu : " + s.Want + ")"
	case got == nation.Handshake:
		text = "connexion refusée : certificat non accepté"
	case s.Outcome.Status == 200:
		colour = green
	}
	if text = strings.TrimSuffix(text, "."); text != "" {
		text = " " + text
	}
	if s.Note != "" {
		text += p.paint(dim, " ("+s.Note+")")
	}
	return p.paint(colour, got) + text
}

// firstSentence is the general part of a libellé; the answer holds the rest.
func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i]
	}
	return s
}

// end is the last word of --once.
func (p *printer) end(n *nation.Nation, wrong error) {
	if wrong == nil {
		fmt.Fprintf(p.out, "\n%d scenes, every one as expected, %.1f s after the start.\n", len(nation.Day()), time.Since(n.Started).Seconds())
	}
}

// proofs ends --once: what is left of the day, with the RPN stopped.
func (p *printer) proofs(ctx context.Context, n *nation.Nation, day []nation.Scened) error {
	told, err := n.Outage(ctx, "ambre")
	if err != nil {
		return err
	}
	e, err := n.Prove(ctx, day)
	if err != nil {
		return err
	}
	x, r := e.Proof.Entry.Exchange, e.Journal
	fmt.Fprintf(p.out, `
%s
  %s exchange %s of %s: record %d of %s, verified
  %s with the public key alone; request and answer are, byte for byte, those of the record
`,
		p.paint(bold, "What the day leaves, now that the RPN is stopped"),
		pad("receipt", 10), x.ID, e.Scene.Nom, e.Proof.Entry.Index, e.Proof.Checkpoint.Origin, pad("", 10))
	title := "outage"
	for _, c := range told {
		text := c.Type + " of " + c.Nom + " (" + strings.Join(c.Services, ", ") + "), since " + c.Depuis
		if c.Jusque != "" {
			text += " until " + c.Jusque + fmt.Sprintf(", with %d exchanges to play again", len(c.Echanges))
		}
		fmt.Fprintf(p.out, "  %s %s: told by a signed call of its webhook\n", pad(title, 10), text)
		title = ""
	}
	title = "figures"
	for _, file := range e.CSV {
		fmt.Fprintf(p.out, "  %s %s\n", pad(title, 10), filepath.Base(file))
		title = ""
	}
	fmt.Fprintf(p.out, "  %s the %d exchanges of the day are in it once each; %d records verified: nothing was changed, added or taken away\n",
		pad("journal", 10), e.Exchanges, r.End-r.First)
	if !n.Temporary() {
		fmt.Fprintf(p.out, "\nThe same by hand:\n  %s receipt verify --key %s --proof %s --request %s --answer %s\n  %s journal verify --dir %s --key %s\n",
			rpn(), quoted(n.JournalKeyFile()), quoted(e.Files[0]), quoted(e.Files[1]), quoted(e.Files[2]), rpn(), quoted(n.JournalDir()), quoted(n.JournalKeyFile()))
	}
	return nil
}

func (p *printer) places(n *nation.Nation, dir string) {
	fmt.Fprintln(p.out)
	fmt.Fprintln(p.out, p.paint(bold, "Listening"))
	for _, l := range n.Places() {
		fmt.Fprintf(p.out, "  %s %s\n", pad(l.Name, 28), l.URL)
	}
	fmt.Fprintf(p.out, "  %s %s\n", pad("files", 28), n.Dir)
	if dir != "" {
		fmt.Fprintf(p.out, "\nThe same nation, later, in two terminals:\n  %s --dir %s --without-rpn\n  %s serve --config %s\n",
			self(), quoted(dir), rpn(), quoted(filepath.Join(dir, "rpn.yaml")))
	}
}

// pages says how the console and the portal are looked at.
func (p *printer) pages(n *nation.Nation) {
	fmt.Fprintf(p.out, "\n%s\n", p.paint(bold, "Look at it in a browser (its certificate is of a throw-away authority: accept the warning)"))
	fmt.Fprintf(p.out, "  %s %s\n", pad("console, no certificate", 28), n.ConsoleURL())
	fmt.Fprintf(p.out, "  %s %s\n", pad("weather, no certificate", 28), n.PortalURL()+"/meteo")
	fmt.Fprintf(p.out, "  %s %s/\n", pad("portal, with one of these", 28), n.PortalURL())
	fmt.Fprintf(p.out, "  to import, password %q:\n", nation.BrowserPassword)
	for _, r := range n.Readers() {
		fmt.Fprintf(p.out, "  %s %s\n", pad(r.Name, 28), r.PKCS12)
	}
}

// around is what --without-rpn prints.
func (p *printer) around(n *nation.Nation) {
	fmt.Fprintln(p.out, p.paint(bold, "Listening"))
	for _, l := range n.Places() {
		fmt.Fprintf(p.out, "  %s %s\n", pad(l.Name, 28), l.URL)
	}
	p.pages(n)
	fmt.Fprintf(p.out, "\nThe RPN of this nation, in another terminal:\n  %s serve --config %s\n\nCtrl-C ends the annuaire and the insurers.\n",
		rpn(), quoted(filepath.Join(n.Dir, "rpn.yaml")))
}

// commands prints five commands to copy. They are those of a shell in the
// directory where the demo was started.
func (p *printer) commands(n *nation.Nation) {
	e := n.Files("chu")
	fmt.Fprintf(p.out, `
%s
  %s send --url %s --ca %s \
    --cert %s --key %s \
    --sign-cert %s --sign-key %s %s

%s
  curl -s %s/metrics | grep ^rpn_

%s
  tail -n 3 %s

%s
  %s top --admin %s

%s
  %s certificates --admin %s --within 0

Light traffic goes on; Ctrl-C ends the demo%s.
`,
		p.paint(bold, "Send one yourself"),
		rpn(), n.URL(), quoted(n.AuthorityFile()), quoted(e.Cert), quoted(e.Key), quoted(e.SignCert), quoted(e.SignKey), quoted(n.MessageFile()),
		p.paint(bold, "See the metrics"), n.AdminURL(),
		p.paint(bold, "See the record of each exchange"), quoted(n.LogFile()),
		p.paint(bold, "See what goes on: who is refused, which insurer rests"), rpn(), strings.TrimPrefix(n.AdminURL(), "http://"),
		p.paint(bold, "See which certificates end first, and what rests on them"), rpn(), strings.TrimPrefix(n.AdminURL(), "http://"),
		map[bool]string{true: " and removes its files"}[n.Temporary()])
}

// traffic keeps the nation alive, and says each minute how it goes.
func (p *printer) traffic(ctx context.Context, n *nation.Nation) {
	played, wrong := 0, 0
	next := time.Now().Add(time.Minute)
	n.Traffic(ctx, 2*time.Second, func(s nation.Scened) {
		played++
		if !s.AsExpected() {
			wrong++
			p.row(s)
		}
		if time.Now().After(next) {
			next = next.Add(time.Minute)
			fmt.Fprintf(p.out, "%s %d exchanges, %d as expected\n", time.Now().Format("15:04"), played, played-wrong)
		}
	})
	fmt.Fprintln(p.out)
}

// pad fills s with spaces to that many characters, and at least one.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(s)))
}

// self and rpn are how this program and rpn are started: a copied command must
// work. rpn is beside this program, where it was built.
func self() string { return program(os.Args[0], "demo") }

func rpn() string { return program(filepath.Join(filepath.Dir(os.Args[0]), "rpn"), "rpn") }

func program(file, name string) string {
	me, err := os.Executable()
	if err != nil || strings.Contains(me, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/" + name
	}
	return quoted(file)
}

// quoted quotes a word for the shell where it needs it.
func quoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,~", r)
	}) && s[0] != '~' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
