package nation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// falls stops the server of an insurer, and writes to it until the RPN gives it
// a rest. What is written then is what the scene is about.
func falls(id, from string) func(context.Context, *Nation) error {
	return func(ctx context.Context, n *Nation) error {
		i, known := n.insurer(id)
		server := n.servers[i.Host]
		e, there := n.Etablissement(from)
		if !known || server == nil || !there {
			return fmt.Errorf("the nation has no %q and %q", id, from)
		}
		if err := server.Close(); err != nil {
			return err
		}
		return eventually(ctx, i.Nom+" rests", func() (bool, error) {
			switch o := e.Send(ctx, roc.IDB, roc.V1, soap.SOAP12, id); {
			case o.Refused(roc.AMCResting):
				return true, nil
			case !o.Refused(roc.AMCUnreachable):
				return false, fmt.Errorf("%s fell, and %s got: %s", i.Nom, e.Nom, o)
			}
			return false, nil
		})
	}
}

var sinceAttribute = regexp.MustCompile(`<rpn:Cause code="circuit-open" depuis="[^"]+"`)

// rests checks a refusal of what rests: it says when to come back and since when
// it lasts, and nobody was called for it; and says what it took.
func rests(_ *Nation, o Outcome) (string, error) {
	wait, err := strconv.Atoi(o.Header.Get("Retry-After"))
	took := timings(o)
	switch {
	case err != nil || wait < 1:
		return "", fmt.Errorf("Retry-After: %q", o.Header.Get("Retry-After"))
	case !sinceAttribute.Match(o.Body.Bytes()):
		return "", errors.New("the fault does not say since when the insurer rests")
	case took["connect"] != 0 || took["amc"] != 0:
		return "", errors.New("the insurer was called, for what is refused because it rests")
	}
	return fmt.Sprintf("en panne : refusé sans l'appeler, en %s ms au RPN ; revenir dans %d s", french(took["total"], 2), wait), nil
}

// timings reads Server-Timing: what each step took, in milliseconds.
func timings(o Outcome) map[string]float64 {
	took := map[string]float64{}
	for step := range strings.SplitSeq(o.Header.Get("Server-Timing"), ", ") {
		name, dur, _ := strings.Cut(step, ";dur=")
		took[name], _ = strconv.ParseFloat(dur, 64)
	}
	return took
}

func french(f float64, decimals int) string {
	return strings.Replace(strconv.FormatFloat(f, 'f', decimals, 64), ".", ",", 1)
}

// A crowd is one establishment that sends as fast as it can, on several
// connections, while others work.
type crowd struct {
	greedy string
	others []struct{ who, amc string }

	took time.Duration // as long as it pressed

	mu                sync.Mutex
	admitted, refused int
	last              Outcome // of its refusals
	served            int     // messages of the others
	failed            error
}

// howLong a crowd presses, and by how many connections.
const (
	howLong = time.Second
	byMany  = 4
)

// press lets the crowd act, and returns the last refusal of the greedy one.
func (c *crowd) press(ctx context.Context, n *Nation) Outcome {
	begun := time.Now()
	end := begun.Add(howLong)
	var all sync.WaitGroup
	send := func(who, amc string, pause time.Duration, tell func(Outcome)) {
		e, ok := n.Etablissement(who)
		if !ok {
			tell(Outcome{Err: fmt.Errorf("the nation has no establishment %q", who)})
			return
		}
		all.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				tell(e.Send(ctx, roc.IDB, roc.V1, soap.SOAP12, amc))
				select {
				case <-time.After(pause):
				case <-ctx.Done():
				}
			}
		})
	}
	for range byMany {
		send(c.greedy, "bleue", 0, c.greedyGot)
	}
	for _, o := range c.others {
		send(o.who, o.amc, between, c.otherGot)
	}
	all.Wait()
	c.took = time.Since(begun)
	if c.failed != nil {
		return Outcome{Err: c.failed}
	}
	return c.last
}

func (c *crowd) greedyGot(o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case o.Answered("00"):
		c.admitted++
	case o.Refused(roc.TooMany):
		c.refused++
		c.last = o
	default:
		c.failed = errors.Join(c.failed, fmt.Errorf("the one that sends too much: %s", o))
	}
}

func (c *crowd) otherGot(o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.served++; !o.Answered("00") {
		c.failed = errors.Join(c.failed, fmt.Errorf("one that sends little: %s", o))
	}
}

// told checks that no more was admitted than its register line says (its burst,
// and its rate over the time that it took), and says what came of it.
func (c *crowd) told(n *Nation, o Outcome) (string, error) {
	e, _ := n.Etablissement(c.greedy)
	if most := float64(e.Burst) + e.PerSecond*c.took.Seconds(); float64(c.admitted) > most {
		return "", fmt.Errorf("%d messages of %s were admitted in %s, its limit is %.1f", c.admitted, e.Nom, c.took, most)
	}
	if o.Status != http.StatusInternalServerError || o.Header.Get("Retry-After") == "" {
		return "", errors.New("it was not told when to come back")
	}
	return fmt.Sprintf("trop d'un coup : %d admis, %d refusés ; pendant ce temps les autres : %d sur %d servis", c.admitted, c.refused, c.served, c.served), nil
}
