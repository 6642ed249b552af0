package limits

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// twenty is the default limit of these tests.
var twenty = register.Limite{ParSeconde: 20, Rafale: 40}

func structure(i int) roc.StructureID { return roc.StructureID(fmt.Sprintf("1%09d", i)) }

func TestIdleBucketsAreDropped(t *testing.T) {
	t.Parallel()
	l := NewLocal(Options{Default: twenty})
	for i := range 5000 {
		if err := l.Allow(context.Background(), structure(i), register.Limite{}, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Allow(context.Background(), structure(9999), register.Limite{}, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := l.source.(*local).buckets[messages].size(); n != 1 {
		t.Errorf("%d buckets are kept after an hour, want only the one in use", n)
	}
}

func TestABucketThatIsNotFullIsKept(t *testing.T) {
	t.Parallel()
	l := NewLocal(Options{Default: twenty})
	crawl := register.Limite{ParSeconde: 0.001, Rafale: 5}
	for range 5 {
		l.Allow(context.Background(), structure(1), crawl, noon)
	}
	l.Allow(context.Background(), structure(2), crawl, noon.Add(10*time.Minute))
	if err := l.Allow(context.Background(), structure(1), crawl, noon.Add(10*time.Minute)); err == nil {
		t.Error("ten idle minutes emptied the bucket's memory: its debt is forgotten")
	}
}

func TestBeyondTheBoundAStructureIsRefused(t *testing.T) {
	t.Parallel()
	l := NewLocal(Options{Default: twenty, Structures: 2})
	for i := range 2 {
		if err := l.Allow(context.Background(), structure(i), register.Limite{}, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Allow(context.Background(), structure(3), register.Limite{}, noon); !roc.IsRefused(err, roc.TooMany) {
		t.Errorf("a structure beyond the bound: %v, want too-many", err)
	}
	if n := l.source.(*local).buckets[messages].size(); n != 2 {
		t.Errorf("%d buckets, want 2", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	l := NewLocal(Options{Default: twenty})
	limit := register.Limite{ParSeconde: 1e9, Rafale: 1 << 30}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Allow(context.Background(), alice, limit, time.Now())
		}
	})
}
