package proxy

import (
	"bytes"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/proxy/http1"
)

// checkResponse refuses, whatever the policy of signatures, what is no answer
// to the message that was sent (profile sections 3 and 10).
func (x *exchange) checkResponse(a http1.Response) error {
	if r := notSOAP(a); r != nil {
		r.RetryAfter = http1.RetryAfter(a.RetryAfter, x.proxy.o.Now())
		x.rec.FarStatus = a.Status
		return r
	}
	if a.UntilClose {
		env, err := soap.Read(a.Body, x.answerLimits())
		if err != nil { // the end of a connection is no proof that all of it came
			return roc.Refuse(roc.AMCBadAnswer, "the answer ended with its connection, and is no whole envelope: %w", err).Because(roc.AnswerCut)
		}
		env.Release()
	}
	return x.checkRelatesTo(a.Body)
}

// notSOAP refuses an HTTP answer that is no SOAP envelope.
func notSOAP(a http1.Response) *roc.Refusal {
	refuse := func(c roc.CauseCode, what string) *roc.Refusal {
		return roc.Refuse(roc.AMCNotSOAP, "HTTP status %d, %s", a.Status, what).Because(c)
	}
	switch {
	case a.Status >= 300 && a.Status <= 399:
		return refuse(roc.AnswerRedirect, "a redirect")
	case a.Status == 202 || a.Status == 204 || a.Body.Len() == 0:
		return refuse(roc.AnswerEmpty, "no message")
	case a.ContentType != "" && !isSOAPMedia(a.ContentType):
		return refuse(roc.AnswerMediaType, "a media type that is not SOAP's")
	case !soap.BeginsEnvelope(a.Body):
		return refuse(roc.AnswerNoSOAP, "and it does not begin with an Envelope")
	}
	return nil
}

func isSOAPMedia(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "text/xml" || media == "application/soap+xml"
}

// checkRelatesTo refuses an answer that names another message than the one it
// answers: it may be another establishment's. What cannot be read is left to
// the policy of answers: it fails open there, as that policy says.
func (x *exchange) checkRelatesTo(body roc.Content) error {
	if !bytes.Contains(body.Bytes(), []byte("RelatesTo")) {
		return nil
	}
	env, err := soap.Read(body, x.answerLimits())
	if err != nil {
		return nil
	}
	defer env.Release()
	asked := message.MessageIDs(x.env)
	for _, to := range message.RelatesTo(env) {
		if !slices.Contains(asked, to) {
			return roc.Refuse(roc.AMCBadAnswer, "wsa:RelatesTo of the answer is not the MessageID of the request").Because(roc.AnswerToAnother)
		}
	}
	return nil
}

func (x *exchange) answerLimits() soap.Limits {
	limits := x.proxy.o.Limits
	limits.Bytes = max(limits.Bytes, x.proxy.o.AMC.AnswerBytes())
	return limits
}

// checkSignature applies the AnswerPolicy. Only enforce refuses, and so only
// enforce makes the caller wait: observe looks once the answer is written.
func (x *exchange) checkSignature(a http1.Response) error {
	switch x.proxy.o.AnswerPolicy {
	case AnswersObserve:
		x.observed = a.Body
	case AnswersEnforce:
		if r := x.lookAt(a.Body); r != nil {
			return roc.Refuse(roc.AMCBadAnswer, "the answer's signature: %w", r).Because(roc.AnswerSignature)
		}
	}
	return nil
}

// lookAt checks an answer and writes the outcome in the record.
func (x *exchange) lookAt(answer roc.Content) *roc.Refusal {
	err := x.verifyAnswer(answer)
	if err == nil {
		x.rec.AnswerCheck = "good"
		return nil
	}
	r := roc.RefusalOf(err)
	x.rec.AnswerCheck = string(r.Reason)
	return r
}

func (x *exchange) verifyAnswer(body roc.Content) error {
	env, err := soap.Read(body, x.answerLimits())
	if err != nil {
		return err
	}
	defer env.Release()
	_, err = x.proxy.o.AnswerSignatures.Check(env, xmlsig.Policy{Answer: true}, xmlsig.Expect{}, x.proxy.o.Now())
	return err
}
