package logsink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
)

// A reader takes lines, unless it is stopped or gone.
type reader struct {
	mu      sync.Mutex
	got     bytes.Buffer
	stopped chan struct{} // nil: it reads
	gone    bool
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	stopped := r.stopped
	r.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return 0, errors.New("broken pipe")
	}
	return r.got.Write(p)
}

func TestLinesArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	var r reader
	s := New(&r, Options{})
	var want strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(s, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r.got.String() != want.String() {
		t.Error("what was written is not what arrived")
	}
}

func TestAReaderThatStopsHoldsNobodyAndTheLossIsSaid(t *testing.T) {
	t.Parallel()
	r := &reader{stopped: make(chan struct{})}
	s := New(r, Options{Bytes: 1000})
	for range 1000 {
		fmt.Fprintf(s, "%099d\n", 7) // would block for ever without the queue
	}
	if st := s.State(); st.Dropped < 900 || st.Queued > 1000 {
		t.Errorf("%+v, want some 980 lines dropped and at most 1000 bytes queued", st)
	}
	r.mu.Lock()
	close(r.stopped)
	r.stopped = nil
	r.mu.Unlock()
	s.Close(context.Background())
	var told, n uint64
	for _, said := range strings.Split(r.got.String(), `"event":"log_dropped","lines":`)[1:] {
		fmt.Sscanf(said, "%d}", &n)
		told += n
	}
	if lost := s.State().Dropped; told != lost {
		t.Errorf("the reader is back and was told of %d of %d lost lines", told, lost)
	}
}

func TestAReaderThatIsGoneIsAnErrorOfTheState(t *testing.T) {
	t.Parallel()
	r := &reader{gone: true}
	s := New(r, Options{})
	for range 3 {
		fmt.Fprintln(s, "line")
	}
	await.Until(t, "they are counted as lost", func() bool { return s.State().Dropped == 3 })
	if st := s.State(); st.Error == nil {
		t.Errorf("%+v, want the error of the write", st)
	}
	r.mu.Lock()
	r.gone = false
	r.mu.Unlock()
	fmt.Fprintln(s, "back")
	s.Close(context.Background())
	if got := r.got.String(); !strings.HasPrefix(got, "back\n") || !strings.Contains(got, `"lines":3}`) || s.State().Error != nil {
		t.Errorf("it is back, and reads %q", got)
	}
}

func TestAStopWhoseReaderIsGoneEnds(t *testing.T) {
	t.Parallel()
	s := New(&reader{gone: true}, Options{})
	fmt.Fprintln(s, "line")
	if s.Close(context.Background()) == nil {
		t.Error("no error although a line was not written")
	}
}

func TestAStopDoesNotWaitForTheReader(t *testing.T) {
	t.Parallel()
	r := &reader{stopped: make(chan struct{})}
	defer close(r.stopped)
	s := New(r, Options{})
	fmt.Fprintln(s, "line")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if s.Close(ctx) == nil {
		t.Error("no error although a line was not written")
	}
}
