package scenarios

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Many establishments send without a pause, simulations and calculations alike:
// simulations are refused for want of a processor, and calculations are served.
func TestAMachineThatIsFullRefusesTheLeastImportantFirst(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "per_second: 100000\nburst: 100000\nexchanges: 4000\nper_amc: 1000\nshed_after: 1ms\nmemory: 128MiB"))
	for metric, want := range map[string]string{"go_gc_gogc_percent": "400", "go_gc_gomemlimit_bytes": "2.68435456e+08"} {
		if got := n.Metric(metric); got != want {
			t.Errorf("%s is %s, want %s", metric, got, want)
		}
	}
	type end struct {
		service roc.Service
		shed    bool
	}
	ends := make(chan end)
	stop := make(chan struct{})
	var senders sync.WaitGroup
	var establishments []*nation.Etablissement
	for range 4 {
		establishments = append(establishments, n.Etablissement())
	}
	for _, es := range establishments {
		for service, action := range map[roc.Service]string{roc.SIM: "urn:roc:sim:2.0.0:simuler", roc.CLC: "urn:roc:clc:2.0.0:calculer"} {
			body := es.Send(service, "bleue").Sent // whatever came of it: others send already
			for range 16 {
				senders.Go(func() {
					message := fmt.Sprintf("POST /roc HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml; charset=utf-8; action=\"%s\"\r\nContent-Length: %d\r\n\r\n%s", action, len(body), body)
					for {
						conn, err := connect(t, n, nil, es.TLS) // a refusal before the body ends the last one
						if err != nil {
							return
						}
						for r := bufio.NewReader(conn); ; {
							io.WriteString(conn, message)
							a, err := http.ReadResponse(r, nil)
							if err != nil {
								break
							}
							text, _ := io.ReadAll(a.Body)
							select {
							case ends <- end{service, bytes.Contains(text, []byte(`"load-shed"`))}:
							case <-stop:
								return
							}
						}
						conn.Close()
					}
				})
			}
		}
	}
	served, shed := map[roc.Service]int{}, map[roc.Service]int{}
	for shed[roc.SIM] < 50 || served[roc.CLC] < 50 {
		e := await.Next(t, "an exchange ends", ends)
		if e.shed {
			shed[e.service]++
		} else {
			served[e.service]++
		}
	}
	share := func(s roc.Service) float64 { return float64(shed[s]) / float64(shed[s]+served[s]) }
	if share(roc.CLC) >= share(roc.SIM) {
		t.Errorf("refused: %.2f of the calculations, %.2f of the simulations", share(roc.CLC), share(roc.SIM))
	}
	close(stop)
	senders.Wait()
}
