package trust

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

var exchanges = flag.Int("exchanges", 300, "exchanges with an insurer that answers twice")

// twice: an insurer that answers twice, the second time after 0 to 150 ms, never
// has one establishment read what is another's.
func twice(s sheet) {
	n := nation.New(s.t, nation.Binary, nation.Section("policies", "answer_signatures: \"off\""))
	var late sync.WaitGroup
	n.AMC("bleue").Answers(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			s.t.Error(err)
			return
		}
		defer conn.Close()
		var mu sync.Mutex // one answer at a time
		say := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			io.WriteString(conn, text)
		}
		for in := bufio.NewReader(buffered); ; {
			text := answerFor(r.Header.Get("RPN-Structure"))
			say(text)
			late.Go(func() {
				time.Sleep(time.Duration(rand.IntN(151)) * time.Millisecond)
				say(text)
			})
			if r, err = http.ReadRequest(in); err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
		}
	})
	var people []*nation.Etablissement
	for range 20 {
		people = append(people, n.Etablissement(nation.Limited(1000, 1000)))
	}
	var own, crossed, refused atomic.Int32
	var all sync.WaitGroup
	for _, who := range people {
		all.Go(func() {
			for range *exchanges / len(people) {
				r := who.Send(roc.IDB, "bleue")
				body := string(r.Body.Bytes())
				switch {
				case strings.Contains(body, "<de>"+string(roc.StructureOf(who.EJ))+"</de>"):
					own.Add(1)
				case strings.Contains(body, "<de>"):
					crossed.Add(1)
				default:
					refused.Add(1) // the insurer misbehaves
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	late.Wait()
	s.cell(fmt.Sprint(*exchanges, " exchanges of 20 establishments with who answers twice"), "0 crossed, some answered",
		fmt.Sprintf("%d crossed, %s", crossed.Load(), map[bool]string{true: "some answered", false: "none answered"}[own.Load() > 0]))
	s.cell("it is counted and told", "true", fmt.Sprint(strings.Contains(n.Log(), "unsolicited")))
	fmt.Printf("     %d answered, %d refused\n", own.Load(), refused.Load())
}

func answerFor(who string) string {
	body := `<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><r xmlns="urn:fictif"><de>` + who + `</de></r></soap:Body></soap:Envelope>`
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
