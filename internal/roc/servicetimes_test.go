package roc_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

func TestEachServiceHasItsOwnTime(t *testing.T) {
	t.Parallel()
	for i, s := range roc.Services {
		var times roc.ServiceTimes
		field := reflect.ValueOf(&times).Elem().Field(i)
		field.Set(reflect.ValueOf(time.Second))
		if tag := reflect.TypeOf(times).Field(i).Tag.Get("yaml"); tag != s.String() || times.Of(s) != time.Second {
			t.Errorf("field %d is written %s, and gives %s %v", i, tag, s, times.Of(s))
		}
	}
	if n := reflect.TypeFor[roc.ServiceTimes]().NumField(); n != len(roc.Services) {
		t.Errorf("%d fields for %d services", n, len(roc.Services))
	}
}
