// Package attempts keeps the attempts of establishments in accrochage: what
// each did with the validation platform and how it ended, so that the PV
// (domain 1.4) can be drawn up from it.
//
// A [Store] receives each attempt and returns at once; it writes in the
// background, and reports what it lost if it could not keep up. An attempt is
// made from a roc.Record, which holds no patient data by construction.
package attempts

import (
	"encoding/hex"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Attempt is one exchange of an establishment in accrochage, whatever its
// outcome: one line of a file. The names are those of docs/record.md.
type Attempt struct {
	Etablissement roc.StructureID `json:"etablissement"` // by its EJ
	Structure     roc.StructureID `json:"structure"`     // as the certificate says: the EJ or an EG
	Echange       roc.ExchangeID  `json:"echange"`
	RequestIn     time.Time       `json:"request_in"`
	AnswerOut     time.Time       `json:"answer_out,omitzero"`
	Service       string          `json:"service,omitzero"`
	Version       string          `json:"version,omitzero"`
	AMC           roc.NumeroAMC   `json:"amc,omitzero"`
	AMCName       string          `json:"amc_name,omitzero"`
	Domaine       roc.Domaine     `json:"domaine,omitzero"`
	Outcome       roc.Outcome     `json:"outcome"`
	Origine       roc.Origin      `json:"origine,omitzero"`
	Code          string          `json:"code,omitzero"`
	Reason        roc.Reason      `json:"reason,omitzero"`
	Responsable   roc.Responsable `json:"responsable,omitzero"`
	Cause         string          `json:"cause,omitzero"`
	FarStatus     int             `json:"far_status,omitzero"`
	AnswerCheck   string          `json:"answer_check,omitzero"`
	TotalMicros   int64           `json:"total_us,omitzero"`
	RequestSHA256 string          `json:"request_sha256,omitzero"`
	AnswerSHA256  string          `json:"answer_sha256,omitzero"`
	SignerSerial  string          `json:"signer_serial,omitzero"`
	MessageID     string          `json:"message_id,omitzero"`
}

// Of makes an attempt from a record; etablissement is the owner.
func Of(etablissement roc.StructureID, r *roc.Record) Attempt {
	return Attempt{
		Etablissement: etablissement, Structure: r.From, Echange: r.ID,
		RequestIn: r.RequestIn.UTC(), AnswerOut: r.AnswerOut.UTC(),
		Service: r.Service.String(), Version: r.Version.String(),
		AMC: r.To.AMC, AMCName: r.AMCName, Domaine: r.To.Domaine,
		Outcome: r.Outcome, Origine: r.Origin, Code: r.Code(), Reason: r.Reason, Responsable: r.Responsable(), Cause: r.Cause,
		FarStatus: r.FarStatus, AnswerCheck: r.AnswerCheck, TotalMicros: r.Total().Microseconds(),
		RequestSHA256: hash(r.RequestSHA256), AnswerSHA256: hash(r.AnswerSHA256),
		SignerSerial: r.SignerSerial, MessageID: r.MessageID,
	}
}

// Succeeded reports whether the validation platform answered the attempt with
// HTTP 2xx, and nothing was found wrong with the signature of its answer.
func (a *Attempt) Succeeded() bool {
	return a.Outcome == roc.Answered && a.Origine == roc.FromAMC && (a.AnswerCheck == "" || a.AnswerCheck == "good")
}

func hash(h [32]byte) string {
	if h == [32]byte{} {
		return ""
	}
	return hex.EncodeToString(h[:])
}
