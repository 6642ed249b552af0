package journal

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// JSON is the entry as one line of JSON. The fields of an exchange have the
// names of docs/record.md; docs/journal.md lists the others.
func (e *Entry) JSON() ([]byte, error) {
	var b strings.Builder
	w := jsonWriter{b: &b}
	w.put("index", e.Index)
	w.put("leaf", base64.StdEncoding.EncodeToString(e.Leaf[:]))
	switch {
	case e.Exchange != nil:
		w.put("kind", "exchange")
		for _, a := range e.Exchange.LogValue().Group() {
			if a.Key == "responsable" {
				continue // today's value; the record has its own
			}
			w.attr(a)
		}
		if e.Exchange.MustAct != "" {
			w.put("responsable", string(e.Exchange.MustAct))
		}
		if d := e.Exchange.Dossier; d != (roc.Dossier{}) { // the log, which goes elsewhere, has none
			w.put("dossier", hex.EncodeToString(d[:]))
		}
	case e.Amendment != nil:
		a := e.Amendment
		w.put("kind", "amendment")
		w.put("echange", string(a.Exchange))
		w.put("of", a.Of)
		w.put("at", instant(a.At))
		w.put("change", a.Change.String())
		if a.AnswerCheck != "" {
			w.put("answer_check", a.AnswerCheck)
		}
	case e.Mark != nil:
		m := e.Mark
		w.put("kind", "mark")
		w.put("event", m.Event.String())
		w.put("count", m.Count)
		w.put("from", instant(m.From))
		w.put("to", instant(m.To))
	default:
		w.put("kind", "damaged")
		w.put("raw", base64.StdEncoding.EncodeToString(e.Raw))
	}
	b.WriteByte('}')
	return []byte(b.String()), w.err
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// A jsonWriter writes an object whose fields keep their order.
type jsonWriter struct {
	b   *strings.Builder
	err error
}

func (w *jsonWriter) put(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		w.err = err
		return
	}
	if w.b.Len() == 0 {
		w.b.WriteByte('{')
	} else {
		w.b.WriteByte(',')
	}
	w.b.WriteString(`"` + key + `":`)
	w.b.Write(text)
}

func (w *jsonWriter) attr(a slog.Attr) { w.put(a.Key, a.Value.Any()) }
