package proxy

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Journal keeps the record of every exchange: it is on disk before its
// answer leaves. It is safe for concurrent use.
type Journal interface {
	// Reserve keeps room for one exchange. False without an error: there is
	// none, and by policy the exchange goes on and was counted; nothing else is
	// called for it. With an error it must be refused before a byte of it is
	// carried.
	Reserve() (bool, error)

	// Append writes the record. With an error there is none, and the answer
	// must not leave. A zero receipt without an error: there is none, and by
	// policy the exchange goes on and was counted.
	Append(*roc.Record) (roc.Receipt, error)

	// Amend adds what was known only once the answer had left: that the caller
	// was gone, and what is wrong with the signature of the answer.
	Amend(rec *roc.Record, of roc.Receipt, abandoned, badAnswer bool)

	// Release gives back the room of an exchange that is over.
	Release()
}

// A trace is the part of an exchange that the journal has.
type trace struct {
	reserved bool
	receipt  roc.Receipt
	outcome  roc.Outcome // as it was written down
}

// reserve keeps room in the journal, where there is one. It fails closed: what
// could not be written down is not carried.
func (x *exchange) reserve() error {
	if x.proxy.o.Journal == nil {
		return nil
	}
	var err error
	if x.trace.reserved, err = x.proxy.o.Journal.Reserve(); err != nil {
		return roc.Refuse(roc.Overloaded, "no room in the journal: %w", err).Because(roc.JournalFull).After(30 * time.Second).
			Saying("Le RPN ne peut plus tracer les échanges : il n'en porte aucun sans trace. Réessayez plus tard.")
	}
	return nil
}

// traced answers an exchange that will have its record, and refuses one that
// would have none.
func (p *Proxy) traced(x *exchange) answer {
	if err := x.reserve(); err != nil {
		x.rec.Origin = roc.FromRPN
		return x.refuse(roc.RefusalOf(err))
	}
	return p.answer(x)
}

// writeDown puts the record into the journal, before the answer leaves. What
// cannot be written there is not answered: the far end may have acted, and the
// caller is told so.
func (x *exchange) writeDown(a *answer) {
	if !x.trace.reserved {
		return
	}
	rec := x.rec
	rec.AnswerOut = x.proxy.o.Now()
	if x.observed.Len() > 0 {
		rec.AnswerCheck = roc.CheckedLater
	}
	receipt, err := x.proxy.o.Journal.Append(rec)
	if err != nil {
		x.proxy.o.Log.Error("an exchange has no record in the journal, and so no answer", "event", "exchange_not_recorded", "echange", string(rec.ID), "error", err.Error())
		*a = x.refuse(roc.Refuse(roc.Internal, "no record in the journal: %w", err).Because(roc.JournalWrite).
			Saying("L'échange n'a pas pu être tracé ; l'organisme a pu le traiter. Vérifiez avant de renvoyer un calcul ou une annulation."))
		rec.Origin = roc.FromRPN
		x.stamp(a)
		return
	}
	x.trace.receipt, x.trace.outcome = receipt, rec.Outcome
	a.receipt = receiptText(receipt)
}

// amend tells the journal what changed after the answer left, and gives the
// room back.
func (x *exchange) amend() {
	if !x.trace.reserved {
		return
	}
	defer x.proxy.o.Journal.Release()
	abandoned := x.rec.Outcome != x.trace.outcome
	badAnswer := x.observed.Len() > 0 && x.rec.AnswerCheck != "good"
	if !x.trace.receipt.IsZero() && (abandoned || badAnswer) {
		x.proxy.o.Journal.Amend(x.rec, x.trace.receipt, abandoned, badAnswer)
	}
}

// receiptText is the header RPN-Recu: where the record stands in which journal,
// and its hash, so that its proof can be asked for (docs/journal.md).
func receiptText(r roc.Receipt) string {
	if r.IsZero() {
		return ""
	}
	return r.Origin + "; index=" + strconv.FormatUint(r.Index, 10) + "; leaf=" + base64.StdEncoding.EncodeToString(r.Leaf[:])
}
