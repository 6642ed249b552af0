package mail

import (
	"errors"
	"testing"
)

// The first failure of each series is logged, whichever loop fails; a good round
// ends the series of its loop.
func TestTheFirstFailureOfEachSeriesIsLogged(t *testing.T) {
	t.Parallel()
	var f Failures
	away, full := errors.New("the store is away"), errors.New("the disk is full")
	for i, c := range []struct {
		loop int
		err  error
		want bool
	}{
		{0, nil, false}, {0, away, true}, {0, away, false}, {1, away, false}, {1, full, true}, {1, full, false}, {0, nil, false},
		{1, full, false}, {1, nil, false}, {0, away, true}, {0, nil, false}, {1, away, true},
	} {
		if got := f.First(c.loop, c.err); got != c.want {
			t.Errorf("%d: %v of loop %d: logged %v", i, c.err, c.loop, got)
		}
	}
}
