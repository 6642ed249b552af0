package roc

import (
	"regexp"
	"slices"
	"testing"
)

// Each cause is of one reason and has a name that software can act on; each
// reason has causes.
func TestCausesAreWellFormed(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen, of := map[CauseCode]bool{}, map[Reason]int{}
	for _, c := range Causes() {
		if seen[c] || !name.MatchString(string(c)) {
			t.Errorf("%q: twice, or no name", c)
		}
		seen[c] = true
		m := c.Meaning()
		if m.Reason != "" && !slices.Contains(Reasons(), m.Reason) {
			t.Errorf("%s: of %q, which is no reason", c, m.Reason)
		}
		of[m.Reason]++
	}
	for _, r := range Reasons() {
		if of[r] == 0 {
			t.Errorf("%s has no cause", r)
		}
	}
}

// No two causes of one reason read the same: a caller knows which it was.
func TestCausesOfOneReasonReadDifferently(t *testing.T) {
	t.Parallel()
	read := map[string]CauseCode{}
	for _, c := range Causes() {
		m := c.Meaning()
		if m.Reason == "" {
			continue
		}
		full := m.Reason.MeaningWith(c)
		text := full.Code + " " + full.Libelle + " " + full.Remede
		if other, ok := read[text]; ok {
			t.Errorf("%s and %s read the same: %s", other, c, text)
		}
		read[text] = c
	}
}

// An insurer has to act on what it did, or on what its own register line says,
// and on nothing else: where it was not tried, or not given its time, somebody
// else has. A cause that is added to the list below says why in its text.
func TestAnInsurerActsOnWhatItDid(t *testing.T) {
	t.Parallel()
	its := []CauseCode{
		SuspendedAMC, ClosedAMC, MaintainedAMC, AnnouncedAMC, // its own state, or what it said of it
		UnknownName, ConnectionRefused, ConnectTimeout, TLSFailed, OurCertificate, // it was tried
		NoAnswerInTime,                                                               // it had its time
		AnswerCut, AnswerMalformed, AnswerTooLarge, AnswerToAnother, AnswerSignature, // it answered
		AnswerEmpty, AnswerRedirect, AnswerMediaType, AnswerNoSOAP,
		AMCRests, // it failed so often that it is not tried
	}
	for _, c := range Causes() {
		of := c.Meaning().Reason
		if of == "" {
			continue
		}
		if got, want := of.MeaningWith(c).Responsable == ByAMC, slices.Contains(its, c); got != want {
			t.Errorf("%s (%s): the AMC has to act: %v, want %v", c, of.Meaning().Code, got, want)
		}
	}
}
