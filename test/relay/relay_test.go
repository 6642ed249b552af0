package relay_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/test/relay"
)

// echo answers each line with itself.
func echo(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	return ln.Addr().String()
}

// ask sends a line on a new connection and says what came of it.
func ask(t *testing.T, addr string, patience time.Duration) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return what(err)
	}
	defer c.Close()
	return say(c, patience)
}

func say(c net.Conn, patience time.Duration) string {
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, "a line of some length")
	text, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return strings.TrimSpace(what(err) + " " + text)
	}
	return strings.TrimSpace(text)
}

func what(err error) string {
	for e, word := range map[error]string{syscall.ECONNREFUSED: "refused", syscall.ECONNRESET: "reset", syscall.EPIPE: "reset", os.ErrDeadlineExceeded: "silence", io.EOF: "cut"} {
		if errors.Is(err, e) {
			return word
		}
	}
	return err.Error()
}

// Each fault is what it says, its port stays its own, and a mended line carries.
func TestTheLineIsAsItIsSet(t *testing.T) {
	t.Parallel()
	r := relay.New(t)
	r.To(echo(t))
	r.CutAfter(6)
	r.SlowBy(50 * time.Millisecond)
	const whole = "a line of some length"
	for range 2 {
		for fault, want := range map[relay.Fault]string{
			relay.Down: "refused", relay.Half: "cut a line", relay.Reset: "reset", relay.BlackHole: "silence", relay.Slow: whole,
		} {
			patience := await.Patience
			if fault == relay.BlackHole {
				patience = 50 * time.Millisecond
			}
			r.Set(fault)
			if got := ask(t, r.Addr(), patience); got != want {
				t.Errorf("%s: %q, want %q", fault, got, want)
			}
			r.Set(relay.None)
			if got := ask(t, r.Addr(), await.Patience); got != whole {
				t.Errorf("mended after %s: %q", fault, got)
			}
		}
	}
}

// What is open has the fault too, and does not outlive its end.
func TestWhatIsOpenBreaksToo(t *testing.T) {
	t.Parallel()
	r := relay.New(t)
	r.To(echo(t))
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := say(c, await.Patience); got != "a line of some length" {
		t.Fatal(got)
	}
	r.Set(relay.BlackHole)
	if got := say(c, 50*time.Millisecond); got != "silence" {
		t.Error(got)
	}
	r.Set(relay.None)
	if got := say(c, await.Patience); got != "reset" && got != "cut" {
		t.Error(got)
	}
	if r.Came() != 1 {
		t.Errorf("%d connections", r.Came())
	}
}
