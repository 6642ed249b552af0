package await_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/piano-roc/rpn/internal/await"
)

// A failing is a test that fails: Fatalf ends its goroutine.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestWhatHappensIsAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, values := 0, make(chan int)
		await.Until(t, "it was asked a hundred times", func() bool { asked++; return asked == 100 })
		go func() { values <- 7 }()
		if v := await.Next(t, "a value", values); v != 7 {
			t.Errorf("got %d", v)
		}
	})
}

func TestWhatNeverHappensIsNamed(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(testing.TB){
		"Until": func(t testing.TB) { await.Until(t, "the sky falls", func() bool { return false }) },
		"Next":  func(t testing.TB) { await.Next(t, "the sky falls", make(chan int)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			f, done := &failing{TB: t}, make(chan bool)
			go func() {
				defer close(done)
				wait(f)
			}()
			<-done
			if !strings.Contains(f.said, "the sky falls") || !strings.Contains(f.said, await.Patience.String()) {
				t.Errorf("%s: %q", name, f.said)
			}
		})
	}
}
