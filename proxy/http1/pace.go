package http1

import "time"

// A pace is how fast the bytes of a body, or of an answer, must at least go:
// who sends or reads a byte now and then holds memory for nothing. Time that
// is short in all would cut large messages on slow lines; so the deadline moves
// with what has passed, up to the whole time that there is.
type pace struct {
	begun time.Time // zero: nothing is under way
	grace time.Duration
	whole time.Duration
	rate  int // bytes a second; 0: no matter
	done  int // bytes that have passed
}

// paceStep is how much of an answer is written under one deadline.
const paceStep = 64 << 10

func (s *Server) pace(whole time.Duration) pace {
	return pace{begun: time.Now(), grace: s.o.Grace, whole: whole, rate: s.o.MinRate}
}

// until is when the next n bytes must have passed.
func (p *pace) until(n int) time.Time {
	d := p.whole
	if p.rate > 0 {
		d = min(d, p.grace+time.Duration(float64(p.done+n)/float64(p.rate)*float64(time.Second)))
	}
	return p.begun.Add(d)
}

// Read moves the deadline of a body with what has come of it.
//
// A caller that writes its head and its body apart (Nagle's algorithm) sends
// the second once the first is acknowledged: before each wait for more of a
// body it is, at once and not after 40 ms.
func (c *clientConn) Read(b []byte) (int, error) {
	body := !c.pace.begun.IsZero()
	if body && c.drained {
		acknowledgeNow(c.socket)
	}
	n, err := c.Conn.Read(b)
	c.drained, c.heard = n < len(b), time.Now()
	if body {
		c.pace.done += n
		c.SetReadDeadline(c.pace.until(1))
	}
	return n, err
}
