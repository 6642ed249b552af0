package journal

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// The kinds of records. docs/journal.md is the reference of their bytes; a
// layout never changes: a new layout has a new version.
const (
	kindExchange  = 1
	kindAmendment = 2
	kindMark      = 3

	version = 1 // of the three layouts
)

// exchangeSize is the size of the record of an exchange. With the prefix of a
// leaf and the padding of SHA-256 it fills exactly four blocks.
const exchangeSize = 246

// Bits of the flags of an exchange.
const (
	flagReplayed = 1 << iota
	flagFromMemory
	flagStale
	flagClockKnown
	flagSerialHashed // the serial is longer than 20 bytes: its SHA-256 is stored instead
)

// none is an instant that did not occur.
const none = math.MaxUint32

// The codes of AnswerCheck; larger values are the number of a reason.
const (
	checkNone  = 0
	checkGood  = 1
	checkLater = 2
)

// putExchange writes the record of an exchange: what profile section 9 lists.
// No field is free text, so no message content can get in, whatever a caller
// sends. It allocates nothing.
func putExchange(b *[exchangeSize]byte, r *roc.Record) {
	be := binary.BigEndian
	*b = [exchangeSize]byte{0: kindExchange, 1: version}
	var flags byte
	flag := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	flag(r.Replayed, flagReplayed)
	flag(r.FromMemory, flagFromMemory)
	flag(r.Stale, flagStale)
	putUUID(b[4:20], string(r.ID))
	putUUID(b[20:36], r.MessageID)
	be.PutUint64(b[36:], uint64(r.RequestIn.UnixMicro()))
	be.PutUint32(b[44:], since(r.RequestIn, r.RequestOut))
	be.PutUint32(b[48:], since(r.RequestIn, r.AnswerIn))
	be.PutUint32(b[52:], since(r.RequestIn, r.AnswerOut))
	be.PutUint32(b[56:], micros(r.Read))
	be.PutUint32(b[60:], micros(r.Check))
	be.PutUint32(b[64:], micros(r.Annuaire))
	be.PutUint32(b[68:], micros(r.AMC))
	be.PutUint32(b[72:], clamp(r.RequestBytes))
	be.PutUint32(b[76:], clamp(r.AnswerBytes))
	if r.ClockOffset != nil {
		flags |= flagClockKnown
		ms := max(math.MinInt32, min(math.MaxInt32, r.ClockOffset.Milliseconds()))
		be.PutUint32(b[80:], uint32(int32(ms)))
	}
	be.PutUint16(b[84:], uint16(max(0, min(math.MaxUint16, r.FarStatus))))
	be.PutUint16(b[86:], codeOf(r.Reason))
	be.PutUint16(b[88:], checkCode(r.AnswerCheck))
	b[90], b[91], b[92] = byte(r.Service), byte(r.Version), domaineByte(r.To.Domaine)
	b[93], b[94], b[95] = indexOf(outcomes[:], r.Outcome), indexOf(origins[:], r.Origin), indexOf(responsables[:], r.Responsable())
	putCode(b[96:111], string(r.From))
	if len(r.To.AMC) == 10 {
		putCode(b[111:121], string(r.To.AMC))
	}
	putCode(b[121:123], string(r.To.Convention))
	if putSerial(b[123:144], r.SignerSerial) {
		flags |= flagSerialHashed
	}
	copy(b[144:176], r.RequestSHA256[:])
	copy(b[176:208], r.AnswerSHA256[:])
	copy(b[208:240], r.SignatureSHA256[:])
	copy(b[240:246], r.Dossier[:])
	b[2], b[3] = indexOf(causes[:], r.CauseCode), flags
}

// An Exchange is the record of one exchange, read from the journal. Of the
// roc.Record the journal keeps what profile section 9 lists; the rest is zero.
type Exchange struct {
	roc.Record
	// MustAct is who had to act, by the table in force that day: Responsable
	// follows the table of today.
	MustAct roc.Responsable
}

// decodeExchange reads what putExchange wrote.
func decodeExchange(b []byte) (*Exchange, error) {
	if len(b) != exchangeSize {
		return nil, fmt.Errorf("the record of an exchange has %d bytes, not %d", exchangeSize, len(b))
	}
	be := binary.BigEndian
	flags := b[3]
	in := time.UnixMicro(int64(be.Uint64(b[36:]))).UTC()
	x := &Exchange{Record: roc.Record{
		ID: roc.ExchangeID(uuidText(b[4:20])), MessageID: uuidText(b[20:36]),
		RequestIn: in, RequestOut: after(in, be.Uint32(b[44:])), AnswerIn: after(in, be.Uint32(b[48:])), AnswerOut: after(in, be.Uint32(b[52:])),
		Read: duration(b[56:]), Check: duration(b[60:]), Annuaire: duration(b[64:]), AMC: duration(b[68:]),
		RequestBytes: int(be.Uint32(b[72:])), AnswerBytes: int(be.Uint32(b[76:])),
		CauseCode: at(causes[:], b[2]), FarStatus: int(be.Uint16(b[84:])), Reason: reasonOf(be.Uint16(b[86:])), AnswerCheck: checkText(be.Uint16(b[88:])),
		Service: roc.Service(b[90]), Version: roc.Version(b[91]),
		Outcome: at(outcomes[:], b[93]), Origin: at(origins[:], b[94]),
		From:         roc.StructureID(text(b[96:111])),
		SignerSerial: serialText(b[123:144]),
		Replayed:     flags&flagReplayed != 0, FromMemory: flags&flagFromMemory != 0, Stale: flags&flagStale != 0,
	}, MustAct: at(responsables[:], b[95])}
	x.To = roc.Key{AMC: roc.NumeroAMC(text(b[111:121])), Convention: roc.Convention(text(b[121:123])), Domaine: domaineOf(b[92])}
	if x.To.AMC != "" {
		x.To.Service, x.To.Version = x.Service, x.Version
	}
	if flags&flagClockKnown != 0 {
		offset := time.Duration(int32(be.Uint32(b[80:]))) * time.Millisecond
		x.ClockOffset = &offset
	}
	copy(x.RequestSHA256[:], b[144:])
	copy(x.AnswerSHA256[:], b[176:])
	copy(x.SignatureSHA256[:], b[208:])
	copy(x.Dossier[:], b[240:])
	return x, nil
}

// since is an instant as microseconds after the first one, by the monotonic
// clock if both have it: a jump of the wall clock changes no duration.
func since(in, t time.Time) uint32 {
	if t.IsZero() {
		return none
	}
	return min(micros(t.Sub(in)), none-1)
}

func after(in time.Time, us uint32) time.Time {
	if us == none {
		return time.Time{}
	}
	return in.Add(time.Duration(us) * time.Microsecond)
}

func micros(d time.Duration) uint32 { return clamp(int(d / time.Microsecond)) }

func clamp(n int) uint32 { return uint32(max(0, min(math.MaxUint32, n))) }

func duration(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}

// The closed lists, in the order of their numbers: add new words at the end.
var (
	outcomes     = [...]roc.Outcome{"", roc.Answered, roc.FarFault, roc.Refused, roc.Abandoned}
	origins      = [...]roc.Origin{"", roc.FromRPN, roc.FromAMC, roc.FromAnnuaire, roc.FromCache}
	responsables = [...]roc.Responsable{roc.NoOne, roc.ByEtablissement, roc.ByAnnuaire, roc.ByAMC, roc.ByRPN, roc.ByReseau}
	causes       = [...]roc.CauseCode{"",
		roc.ListenerFull, roc.ExchangesFull, roc.AMCBusy, roc.OutOfResources, roc.MalformedHTTP, roc.Compressed, roc.Loop,
		roc.UnknownPath, roc.UnknownMethod, roc.ForbiddenAddress, roc.SuspendedAMC, roc.UnknownName, roc.ResolverDown,
		roc.NoRoute, roc.ConnectionRefused, roc.ConnectTimeout, roc.TLSFailed, roc.OurCertificate, roc.NoAnswerInTime,
		roc.DeadlineBefore, roc.AnswerCut, roc.AnswerMalformed, roc.AnswerTooLarge, roc.AnswerToAnother, roc.AnswerSignature,
		roc.AnswerEmpty, roc.AnswerRedirect, roc.AnswerMediaType, roc.AnswerNoSOAP, roc.CallerLeft, roc.BodyStopped,
		roc.AnswerUnread, roc.FarEndFault, roc.ClosedAMC, roc.MaintainedAMC, roc.NoRoomForAnswer,
		roc.NoStructureID, roc.NotRegistered, roc.NotYetRegistered, roc.EstablishmentClosed, roc.RevokedConnection,
		roc.RevokedSigner, roc.RevocationUnknown, roc.RateExceeded, roc.TooManyConnections, roc.ShareOfRPN, roc.ShareOfAMC,
		roc.AMCRate, roc.JournalFull, roc.MessageTooLarge, roc.TooManyParts, roc.EmptyMessage, roc.NotAnEnvelope,
		roc.BadContentType, roc.BadHeader, roc.OtherEncoding, roc.HasDoctype, roc.HasInstruction, roc.HasEntity,
		roc.MessageTruncated, roc.MalformedXML, roc.BadNamespace, roc.CommentInText, roc.UnknownRequest, roc.ActionsDisagree,
		roc.ActionUnreadable, roc.NoSignature, roc.VIHFNotSigned, roc.BadIDs, roc.BadSecurityHeader, roc.BadSignatureForm,
		roc.BadReference, roc.DigestDiffers, roc.ValueDiffers, roc.BadVIHFSignature, roc.BodyNotSigned, roc.NoTimestamp,
		roc.TimestampNotSigned, roc.VIHFNotCovered, roc.SignatureAlgorithm, roc.DigestAlgorithm, roc.Canonicalization,
		roc.Transforms, roc.SignerKey, roc.CertificateMissing, roc.CertificateAmbiguous, roc.CertificateUnreadable,
		roc.SignerExpired, roc.SignerNotYetValid, roc.NotASigningCertificate, roc.TLSCertificate, roc.UnknownAuthority,
		roc.WrongCategory, roc.SignerRules, roc.NoAuthority, roc.SignerNoStructure, roc.OtherSigner, roc.VIHFOtherSigner,
		roc.TimestampMalformed, roc.TimestampLife, roc.ClockAhead, roc.MessageExpired, roc.TimeZone, roc.VIHFConditions,
		roc.SeenBefore, roc.OtherEJ, roc.OtherEG, roc.OtherCertificate, roc.VIHFStructure, roc.AddressOfAnother,
		roc.FieldMissing, roc.FieldTwice, roc.FieldMisplaced, roc.FieldMalformed, roc.FacadeAddress, roc.UnknownNumber,
		roc.VersionNotOpen, roc.NotInROC, roc.NoSuchService, roc.NoAnnuaire, roc.AnnuaireUnreachable, roc.AnnuaireOurs,
		roc.AnnuaireNetwork, roc.AnnuaireBadAnswer, roc.UnusableAddress, roc.NewAMC, roc.NewDomain, roc.AwaitsOperator,
		roc.AMCRests, roc.ClockWrong, roc.JournalWrite, roc.ProgramFault,
		roc.AnswerLostHere, roc.AnswerLostOnTheWay, roc.InAccrochage, roc.InFormation, roc.UnderSurveillance, roc.AMCOutsideCircle, roc.AMCOnTrial, roc.VersionOfEstablishment, roc.NoState, roc.LoadShed,
		roc.NoTimeLeft, roc.StatedDelayBefore, roc.StatedDelayAfter, roc.AnnuaireStatedDelay, roc.ByteRateExceeded,
		roc.OurCertificateInvalid,
		roc.AnnouncedAMC,
	}
	codes   = codesOfReasons()
	reasons = reasonsOfCodes()
)

func codesOfReasons() map[roc.Reason]uint16 {
	m := map[roc.Reason]uint16{}
	for _, r := range roc.Reasons() {
		n, err := strconv.ParseUint(r.Meaning().Code[len("RPN"):], 10, 16)
		if err != nil {
			panic("journal: code of a reason: " + err.Error())
		}
		m[r] = uint16(n)
	}
	return m
}

func reasonsOfCodes() map[uint16]roc.Reason {
	m := map[uint16]roc.Reason{}
	for r, n := range codes {
		m[n] = r
	}
	return m
}

// codeOf is the number in a reason's code, 212 for RPN212; a reason outside the
// closed list is "internal", as everywhere.
func codeOf(r roc.Reason) uint16 {
	if r == "" {
		return 0
	}
	if n, ok := codes[r]; ok {
		return n
	}
	return codes[roc.Internal]
}

// reasonOf is the reason of a code; a code that this program does not know
// keeps the code as its name.
func reasonOf(n uint16) roc.Reason {
	if n == 0 {
		return ""
	}
	if r, ok := reasons[n]; ok {
		return r
	}
	return roc.Reason("RPN" + strconv.Itoa(int(n)))
}

func checkCode(s string) uint16 {
	switch s {
	case "":
		return checkNone
	case "good":
		return checkGood
	case roc.CheckedLater:
		return checkLater
	}
	return codeOf(roc.Reason(s))
}

func checkText(n uint16) string {
	switch n {
	case checkGood:
		return "good"
	case checkLater:
		return roc.CheckedLater
	}
	return string(reasonOf(n))
}

func indexOf[T comparable](list []T, v T) byte {
	for i := range list {
		if list[i] == v {
			return byte(i)
		}
	}
	return 0
}

func at[T any](list []T, i byte) (v T) {
	if int(i) < len(list) {
		return list[i]
	}
	return v
}

func domaineByte(d roc.Domaine) byte {
	switch d {
	case roc.HOSP:
		return 1
	case roc.EXTE:
		return 2
	}
	return 0
}

func domaineOf(b byte) roc.Domaine {
	switch b {
	case 1:
		return roc.HOSP
	case 2:
		return roc.EXTE
	}
	return ""
}

// putCode writes a code of digits and capital letters that fits; anything else
// leaves zeros. The types of roc are parsed when they come in; this repeats the
// check because what is written stays.
func putCode(dst []byte, s string) {
	if len(s) > len(dst) {
		return
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return
		}
	}
	copy(dst, s)
}

// text is what comes before the zeros.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// putUUID writes a UUID of the usual form; anything else leaves zeros.
func putUUID(dst []byte, s string) {
	if len(s) != 36 {
		return
	}
	var u [16]byte
	n := 0
	for i := 0; i < 36; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return
			}
			i++
			continue
		}
		hi, lo := nibble(s[i]), nibble(s[i+1])
		if hi > 15 || lo > 15 {
			return
		}
		u[n] = hi<<4 | lo
		n, i = n+1, i+2
	}
	copy(dst, u[:])
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

func uuidText(b []byte) string {
	u := [16]byte(b)
	if u == [16]byte{} {
		return ""
	}
	var t [36]byte
	hex.Encode(t[:8], u[:4])
	hex.Encode(t[9:13], u[4:6])
	hex.Encode(t[14:18], u[6:8])
	hex.Encode(t[19:23], u[8:10])
	hex.Encode(t[24:], u[10:])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return string(t[:])
}
