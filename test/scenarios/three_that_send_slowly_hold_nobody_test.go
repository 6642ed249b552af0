package scenarios

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// metric reads a counter or a gauge.
func metric(n *nation.Nation, name string) int {
	v, _ := strconv.Atoi(n.Metric(name))
	return v
}

// saturated waits until /readyz says that one of the totals is.
func saturated(t *testing.T, n *nation.Nation, what string) {
	t.Helper()
	await.Until(t, "/readyz says that "+what+" are saturated", func() bool {
		c := n.Ready().Check("capacity")
		return c.OK && c.Degraded && strings.Contains(c.Detail, what+" (saturated")
	})
}

// Three establishments, each within its rate, begin messages that they do not
// end. They fill their own part of the memory, and no place of an exchange.
func TestThreeThatSendSlowlyHoldNobody(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "exchanges: 8\nmemory: 32MiB\nmin_rate: 1"), nation.Section("timeouts", "body: 10m"))
	const each = 6
	begun := "<soap:Envelope" + strings.Repeat(" ", 600) // ten minutes' worth: on a busy machine too all are held at once
	for range 3 {
		slow := n.Etablissement()
		for range each {
			c := dial(t, n, slow.TLS)
			c.say("POST /roc HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 2097152\r\n\r\n" + begun)
		}
	}
	await.Until(t, "what can be held is held", func() bool { return metric(n, "rpn_exchanges_in_flight") >= 12 })
	saturated(t, n, "bytes held")
	chu := n.Etablissement()
	for range 20 {
		chu.Send(roc.IDB, "bleue").WantAnswer()
	}
}

// 300 idle connections of one certificate leave room for others; each of those
// too many is told so, or counted.
func TestIdleConnectionsOfOneLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "connections: 256"))
	idle := n.Etablissement()
	const opened = 300
	for range opened {
		dial(t, n, idle.TLS)
	}
	// 64 are its part, 16 at a time wait to be told; that wait ends, so the rest is
	// not exact.
	await.Until(t, "it has its part, and no more", func() bool {
		return metric(n, "rpn_connections_turned_away_total") >= opened/2 && strings.Contains(n.Ready().Check("capacity").Detail, "64 of 256 connections")
	})
	c := dial(t, n, n.Etablissement().TLS)
	for range 5 { // a newcomer, on a connection that it keeps
		c.say("GET /roc?wsdl HTTP/1.1\r\nHost: x\r\n\r\n")
		if status, _, body := c.hear(); status != http.StatusOK {
			t.Errorf("%d %.200s", status, body)
		}
	}
	lines := 0
	for line := range strings.Lines(n.Log()) {
		if strings.Contains(line, `"event":"connections_turned_away"`) {
			lines++
		}
	}
	if lines == 0 || lines > 20 {
		t.Errorf("%d lines for some 200 connections", lines)
	}
}

// When all connections are taken by many, who comes is told so in our own words,
// and it has its record.
func TestAFullListenerSaysSo(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "connections: 8"))
	for range 3 { // two each is their part
		es := n.Etablissement()
		dial(t, n, es.TLS)
		dial(t, n, es.TLS)
	}
	await.Until(t, "they are open", func() bool { return strings.Contains(n.Ready().Check("capacity").Detail, "6 of 8 connections") })
	saturated(t, n, "connections")
	var last *nation.Etablissement
	for range 2 { // the last quarter is for those who have none yet
		last = n.Etablissement()
		dial(t, n, last.TLS)
	}
	await.Until(t, "all are taken", func() bool { return strings.Contains(n.Ready().Check("capacity").Detail, "8 of 8 connections") })
	c := dial(t, n, n.Etablissement().TLS)
	c.say("POST /roc HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 0\r\n\r\n")
	if status, header, body := c.hear(); status != http.StatusInternalServerError || !strings.Contains(body, "RPN111") || !strings.Contains(body, "listener-full") || header.Get("Retry-After") == "" {
		t.Errorf("%d %v %.300s", status, header, body)
	}
	c.wantClosed()
	await.Until(t, "it is counted", func() bool {
		return metric(n, `rpn_causes_total{cause="listener-full"}`) == 1
	})
	if lines := n.Lines("exchange"); len(lines) != 1 {
		t.Errorf("%d lines of the log, want one", len(lines))
	}
}

// Establishments that do not read their answers hold their own part of the
// memory; the process stays within its budget, and others are served.
func TestWhoDoesNotReadHoldsItsOwnPartOfTheMemory(t *testing.T) {
	t.Parallel()
	const budget, size, each = 32 << 20, 6 << 20, 5
	n := nation.New(t, nation.Binary, nation.Section("limits", fmt.Sprintf("memory: %d\nmin_rate: 1", budget)))
	var slow []*nation.Etablissement
	var bodies [][]byte
	for range 3 {
		es := n.Etablissement()
		slow, bodies = append(slow, es), append(bodies, es.Send(roc.IDB, "bleue").WantAnswer().Sent)
	}
	n.AMC("bleue").Answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/soap+xml")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		const begin, end = `<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><a/>`, `</soap:Body></soap:Envelope>`
		io.WriteString(w, begin+strings.Repeat(" ", size-len(begin)-len(end))+end)
	})
	first := make(chan string)
	for i, es := range slow {
		for range each {
			c := dial(t, n, es.TLS)
			c.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
			c.say(fmt.Sprintf("POST /roc HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n%s", len(bodies[i]), bodies[i]))
			go func() { // the first line, and no more
				line, _ := bufio.NewReaderSize(c, 16).ReadString('\n')
				first <- line
			}()
		}
	}
	lines := map[string]int{}
	for range 3 * each {
		lines[strings.TrimSpace(await.Next(t, "an answer begins", first))]++
	}
	if lines["HTTP/1.1 200 OK"] != len(slow) || len(lines) != 2 {
		t.Errorf("the answers begin with %v: of each the first fits its part", lines)
	}
	var held int
	for part := range strings.SplitSeq(n.Ready().Check("capacity").Detail, ", ") {
		if strings.Contains(part, "bytes held") {
			fmt.Sscanf(part, "%d of", &held)
		}
	}
	if held < 3*size || held > budget {
		t.Errorf("%d bytes are held, want three answers and at most the budget", held)
	}
	chu := n.Etablissement()
	for range 10 {
		chu.Send(roc.IDB, "verte").WantAnswer()
	}
}
