package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/piano-roc/rpn/indicators/top"
)

func topCommand() *cobra.Command {
	var where adminFlags
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Montre ce qui se passe : établissements, organismes, débits, refus, p95, repos, files",
		Long: `Top montre, en direct, ce qui passe par l'instance du RPN ROC qui tourne : pour
chaque établissement et chaque organisme, les échanges et les refus par seconde
(moyenne des dernières secondes), la durée que 95 % des échanges de la dernière
minute ne dépassent pas (à 10 % près), les échanges en cours et en attente ; pour
un organisme au repos, depuis quand et jusqu'à quand.

Touches : d, r, p, c, n changent le tri (débit, refus, p95, en cours, nom) ;
espace arrête et reprend ; q termine.

Quand la sortie n'est pas un terminal, le tableau est écrit une fois, comme avec
--once. --json écrit un document par relevé, un par ligne ; avec --once, un seul.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTop(cmd, where, o) },
	}
	where.add(cmd)
	f := cmd.Flags()
	f.DurationVar(&o.every, "every", time.Second, "temps entre deux relevés, au moins 200ms")
	f.BoolVar(&o.once, "once", false, "un seul relevé")
	f.BoolVar(&o.json, "json", false, "en JSON")
	f.StringVar((*string)(&o.by), "sort", string(top.ByRate), "tri : debit, refus, p95, encours ou nom")
	f.IntVar(&o.lines, "lines", 40, "lignes au plus, de chaque côté, hors d'un terminal")
	return cmd
}

type topOptions struct {
	every      time.Duration
	once, json bool
	by         top.Key
	lines      int
}

func runTop(cmd *cobra.Command, where adminFlags, o topOptions) error {
	switch {
	case !slices.Contains(top.Keys, o.by):
		return refused(fmt.Errorf("--sort %s : choisissez parmi %v", o.by, top.Keys))
	case o.every < 200*time.Millisecond:
		return refused(errors.New("--every : au moins 200ms"))
	case o.lines < 1:
		return refused(errors.New("--lines : au moins 1"))
	}
	out := cmd.OutOrStdout()
	screen, in := terminalOf(out), terminalOf(cmd.InOrStdin())
	if screen != nil && in != nil && !o.once && !o.json && os.Getenv("TERM") != "dumb" {
		return liveTop(cmd.Context(), where, o, screen, in)
	}
	for {
		body, a, err := askTop(cmd.Context(), where, o.by, o.lines)
		if err != nil {
			return err
		}
		if o.json {
			err = writeJSONLine(out, body, o.once)
		} else {
			_, err = io.WriteString(out, topView{by: o.by}.draw(a))
		}
		if err != nil {
			return failed(err)
		}
		if o.once || !o.json {
			return nil
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(o.every):
		}
	}
}

// writeJSONLine writes a document as it came, or on one line.
func writeJSONLine(w io.Writer, document []byte, asItCame bool) error {
	if asItCame {
		_, err := w.Write(document)
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, document); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err := line.WriteTo(w)
	return err
}

func askTop(ctx context.Context, where adminFlags, by top.Key, lines int) (body []byte, a top.Activity, err error) {
	query := url.Values{"tri": {string(by)}, "lignes": {strconv.Itoa(lines)}}
	body, _, err = where.ask(ctx, http.MethodGet, "/-/top?"+query.Encode())
	if err != nil {
		return nil, a, err
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, a, failed(fmt.Errorf("la réponse du RPN ne se lit pas : %w", err))
	}
	return body, a, nil
}

// terminalOf is the file behind a stream, where that is a terminal.
func terminalOf(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// What a terminal is told: another screen without a cursor, and back; from the
// top; what is behind on the line, and on the screen, goes.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	fromTheTop  = "\x1b[H"
	restOfLine  = "\x1b[K"
	restBelow   = "\x1b[J"
)

// liveTop draws until q, Ctrl-C or the end of ctx, and leaves the terminal as it
// was.
func liveTop(ctx context.Context, where adminFlags, o topOptions, screen, in *os.File) (err error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return failed(err)
	}
	defer func() {
		io.WriteString(screen, leaveScreen)
		err = errors.Join(err, term.Restore(int(in.Fd()), before))
	}()
	io.WriteString(screen, enterScreen)
	keys := make(chan byte)
	go readKeys(ctx, in, keys)
	v := topView{by: o.by, live: true, colour: os.Getenv("NO_COLOR") == ""}
	var shown top.Activity
	ask := func() {
		_, a, askErr := askTop(ctx, where, v.by, 200)
		if v.failed = askErr; askErr == nil {
			shown = a
		}
	}
	for ask(); ; {
		v.width, v.height = 0, 0
		if w, h, err := term.GetSize(int(screen.Fd())); err == nil {
			v.width, v.height = w, h
		}
		if _, err := io.WriteString(screen, onScreen(v.draw(shown))); err != nil {
			return failed(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case k, more := <-keys:
			switch {
			case !more, k == 'q', k == 3, k == 4: // Ctrl-C and Ctrl-D do not end a raw terminal by themselves
				return nil
			case k == ' ':
				v.paused = !v.paused
			default:
				v.sortBy(k)
			}
			ask()
		case <-time.After(o.every):
			if !v.paused {
				ask()
			}
		}
	}
}

// readKeys hands over each byte that is typed, until the terminal ends.
func readKeys(ctx context.Context, in io.Reader, keys chan<- byte) {
	defer close(keys)
	var b [1]byte
	for {
		if n, err := in.Read(b[:]); n == 0 || err != nil {
			return
		}
		select {
		case keys <- b[0]:
		case <-ctx.Done():
			return
		}
	}
}

// onScreen has a table take the place of the one before.
func onScreen(table string) string {
	b := bytes.ReplaceAll([]byte(table), []byte("\n"), []byte(restOfLine+"\r\n"))
	return fromTheTop + string(bytes.TrimSuffix(b, []byte("\r\n"))) + restBelow
}
