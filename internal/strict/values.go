package strict

import (
	"encoding"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// scalar refuses a list or a mapping where one value is expected.
func (r *reader) scalar(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		r.refuse(n, "write a single value", "%s is where a single value is expected", kind(n))
		return false
	}
	return true
}

// text reads a scalar's source text.
func (r *reader) text(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	if !r.scalar(n) {
		return false
	}
	if n.Style == 0 && (n.Value == "~" || strings.EqualFold(n.Value, "null")) {
		r.refuse(n, "write a value, or remove the line; a text that reads so needs quotes", "%s means no value", n.Value)
		return false
	}
	if rules.required && strings.TrimSpace(n.Value) == "" {
		r.refuse(n, "write a value", "the text is empty")
		return false
	}
	t, given := r.texts[v.Type()]
	switch {
	case given && t.words != nil:
		return r.oneOf(n, v, t)
	case given:
		return r.parsed(n, t.parse(n.Value, v), t.example)
	case v.CanAddr() && v.Addr().Type().Implements(textReader):
		x := reflect.New(v.Type())
		ok := r.parsed(n, x.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)), "")
		if ok {
			v.Set(x.Elem())
		}
		return ok
	}
	v.SetString(n.Value)
	return true
}

func (r *reader) parsed(n *yaml.Node, err error, example string) bool {
	if err == nil {
		return true
	}
	remedy := ""
	if example != "" {
		remedy = "write it like " + example
	}
	r.refuse(n, remedy, "%s: %s", quote(n.Value), err)
	return false
}

func (r *reader) oneOf(n *yaml.Node, v reflect.Value, t textType) bool {
	for _, w := range t.words {
		if n.Value == w {
			v.SetString(w)
			return true
		}
	}
	r.refuse(n, "", "%s is not %s: %s%s", quote(n.Value), t.what, enumerate(t.words), didYouMean(n.Value, t.words))
	return false
}

// plain refuses quotes around what is not text.
func (r *reader) plain(n *yaml.Node, what string) bool {
	if !r.scalar(n) {
		return false
	}
	if n.Style != 0 {
		r.refuse(n, "remove the quotes", "%s is a text, not %s", quote(n.Value), what)
		return false
	}
	return true
}

func (r *reader) boolean(n *yaml.Node, v reflect.Value) bool {
	if !r.plain(n, "true or false") {
		return false
	}
	if n.Value != "true" && n.Value != "false" {
		r.refuse(n, "", "%s is not true or false%s", quote(n.Value), meant(n.Value))
		return false
	}
	v.SetBool(n.Value == "true")
	return true
}

// meant guesses which boolean was meant.
func meant(s string) string {
	switch strings.ToLower(s) {
	case "yes", "y", "on", "oui", "vrai", "1":
		return ` (did you mean "true"?)`
	case "no", "n", "off", "non", "faux", "0":
		return ` (did you mean "false"?)`
	}
	return didYouMean(s, []string{"true", "false"})
}

func (r *reader) number(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	what := "a whole number"
	if v.CanFloat() {
		what = "a number"
	}
	if !r.plain(n, what) {
		return false
	}
	x, above, err := parseNumber(n.Value, v.Type())
	switch {
	case errors.Is(err, strconv.ErrRange):
		r.refuse(n, "", "%s is too large or too small", quote(n.Value))
	case err != nil:
		r.refuse(n, "write it in digits, without leading zeros", "%s is not %s", quote(n.Value), what)
	case rules.positive && !above:
		return r.notPositive(n, "")
	default:
		v.Set(x)
		return true
	}
	return false
}

// parseNumber reads a number of type t, and whether it is above zero.
func parseNumber(s string, t reflect.Type) (v reflect.Value, above bool, err error) {
	v = reflect.New(t).Elem()
	if isOctalLooking(s) {
		return v, false, strconv.ErrSyntax
	}
	switch {
	case v.CanInt():
		x, err := strconv.ParseInt(s, 10, t.Bits())
		v.SetInt(x)
		return v, x > 0, err
	case v.CanUint():
		x, err := strconv.ParseUint(s, 10, t.Bits())
		v.SetUint(x)
		return v, x > 0, err
	}
	x, err := parseFloat(s, t.Bits())
	v.SetFloat(x)
	return v, x > 0, err
}

func (r *reader) notPositive(n *yaml.Node, remedy string) bool {
	r.refuse(n, remedy, "%s is not above zero", n.Value)
	return false
}

// parseFloat reads a decimal number: no hexadecimal, no infinity, no NaN.
func parseFloat(s string, bits int) (float64, error) {
	if strings.ContainsAny(s, "xX_iInNpP") {
		return 0, strconv.ErrSyntax
	}
	x, err := strconv.ParseFloat(s, bits)
	if err == nil && (math.IsInf(x, 0) || math.IsNaN(x)) {
		return 0, strconv.ErrRange
	}
	return x, err
}

// isOctalLooking reports a leading zero, that readers of YAML understand in
// two ways.
func isOctalLooking(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9'
}

func (r *reader) duration(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	if !r.scalar(n) {
		return false
	}
	const remedy = "a duration is written like 20s, 5m or 1h30m"
	d, err := time.ParseDuration(n.Value)
	switch {
	case err != nil && isDigits(n.Value):
		r.refuse(n, remedy, "%s has no unit (did you mean %q?)", quote(n.Value), n.Value+"s")
	case err != nil:
		r.refuse(n, remedy, "%s is not a duration", quote(n.Value))
	case d < 0:
		r.refuse(n, remedy, "%s is below zero", n.Value)
	case rules.positive && d == 0:
		return r.notPositive(n, remedy)
	default:
		v.SetInt(int64(d))
		return true
	}
	return false
}

// A Size is a number of bytes, written 65536, 512KiB or 2MiB in a file. It is
// never negative.
type Size int64

// units are the units of a Size: powers of two, and of ten where the unit says
// so.
var units = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
}

// ParseSize reads a size: digits, then B, KiB, MiB, GiB, kB, MB, GB or nothing.
func ParseSize(s string) (Size, error) {
	digits, factor := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, factor = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	if !isDigits(digits) || isOctalLooking(digits) {
		return 0, strconv.ErrSyntax
	}
	x, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || x > math.MaxInt64/factor {
		return 0, strconv.ErrRange
	}
	return Size(x * factor), nil
}

func (r *reader) size(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	if !r.scalar(n) {
		return false
	}
	const remedy = "a size is written like 65536, 512KiB or 2MiB"
	x, err := ParseSize(n.Value)
	switch {
	case errors.Is(err, strconv.ErrRange):
		r.refuse(n, remedy, "%s is too large", quote(n.Value))
	case err != nil:
		r.refuse(n, remedy, "%s is not a size", quote(n.Value))
	case rules.positive && x == 0:
		return r.notPositive(n, remedy)
	default:
		v.SetInt(int64(x))
		return true
	}
	return false
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// cut shortens a value for a remedy.
func cut(s string) string {
	if q := quote(s); strings.HasSuffix(q, "...") {
		return "..."
	}
	return s
}
