package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A progress is a bar on a terminal; on anything else it says nothing.
type progress struct {
	w     io.Writer // nil: not a terminal
	what  string
	last  time.Time
	shown bool
}

func newProgress(w io.Writer, what string) *progress {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progress{w: w, what: what}
		}
	}
	return &progress{}
}

func (p *progress) show(done, total uint64) {
	if p.w == nil || total == 0 || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = time.Now(), true
	n := int(done * 40 / total)
	fmt.Fprintf(p.w, "\r%s [%s%s] %d %%", p.what, strings.Repeat("#", n), strings.Repeat(" ", 40-n), done*100/total)
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
