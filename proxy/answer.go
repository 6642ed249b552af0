package proxy

import (
	"math"
	"strconv"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/proxy/http1"
)

// An answer is what goes back to the establishment: the far end's as it came,
// our fault, or a small page of plain text.
type answer struct {
	status      int
	contentType string // "": none, as it came
	body        roc.Content
	origin      roc.Origin // "": not of an exchange

	exchange   roc.ExchangeID
	timing     string        // Server-Timing
	retryAfter time.Duration // 0: no Retry-After
	allow      string        // Allow, of a 405
	receipt    string        // RPN-Recu; "": no record in a journal
	free       bool          // it cost the caller nothing: it was not admitted
}

// wire is the answer as the Server writes it (profile section 8). The body is
// not copied: it belongs to the answer until it is written.
func (a *answer) wire() http1.Answer {
	return http1.Answer{
		Status:      a.status,
		ContentType: a.contentType,
		Fields: http1.Fields{
			{Name: "RPN-Echange", Value: string(a.exchange)},
			{Name: "RPN-Origine", Value: string(a.origin)},
			{Name: "RPN-Recu", Value: a.receipt},
			{Name: "Server-Timing", Value: a.timing},
			{Name: "Retry-After", Value: seconds(a.retryAfter)},
			{Name: "Allow", Value: a.allow},
		},
		Body: a.body,
		Free: a.free,
	}
}

// seconds is a delay as Retry-After says it: whole seconds, never too short.
func seconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}

// faultOf is our answer to a refusal: the one bridge from a Reason to the
// wire. HTTP 500 whatever the fault (profile section 7).
func faultOf(v soap.Version, id roc.ExchangeID, r *roc.Refusal, now time.Time) answer {
	return answer{
		status:      500,
		contentType: v.ContentType(),
		body:        soap.Fault(v, id, r),
		origin:      roc.FromRPN,
		retryAfter:  r.Wait(now),
	}
}

const textPage = "text/plain; charset=utf-8"

// page is a small plain answer, for what is not an exchange.
func page(status int, texte string) answer {
	return answer{status: status, contentType: textPage, body: roc.NewContent([]byte(texte + "\n"))}
}

// pageOf is the answer to malformed HTTP.
func pageOf(m *http1.Malformed) answer {
	return page(m.Status, "Requête HTTP refusée ("+m.Rule+") : "+m.Texte+".")
}

// timingOf writes Server-Timing: where the time went, in milliseconds.
func timingOf(rec *roc.Record, total time.Duration) string {
	b := make([]byte, 0, 128)
	step := func(name string, d time.Duration) {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, name...)
		b = append(b, ";dur="...)
		b = strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
	}
	step("read", rec.Read)
	step("check", rec.Check)
	step("annuaire", rec.Annuaire)
	step("connect", rec.Connect)
	step("amc", rec.AMC)
	step("total", total)
	return string(b)
}
