package live

import "slices"

// A Kind is the type of a metric, as Prometheus names it.
type Kind string

// The kinds in use.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// A Metric is one line of the catalogue: what is exported, and the sentence
// that defines it (its HELP).
type Metric struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string
}

// catalogue is every metric of ours. The labels are closed lists: see the
// package comment. The go_ and process_ metrics are those of client_golang.
var catalogue = []Metric{
	{exchanges, Counter, []string{"service", "version", "code", "responsable"},
		"Exchanges that ended, by service, version, code (answered, far-fault, abandoned or RPNnnn) and who must act on it."},
	{amcExchanges, Counter, []string{"amc", "outcome"},
		"Exchanges that ended, by insurer of the register (its number) and outcome: answered, far-fault (its own fault), failed (no answer, and it is at fault), refused (another is, or nobody) or abandoned. Which code: rpn_exchanges_total, and the records."},
	{amcInfo, Gauge, []string{"amc", "nom"},
		"Always 1, for each insurer of the register; the labels give its number and its name."},
	{steps, Histogram, []string{"service", "step"},
		"Time an exchange spent in one step: read (body and envelope), check (signature), annuaire (waiting for it), connect (to the insurer: TCP and TLS), amc (waiting for the insurer, connecting included), and total."},
	{amcTime, Histogram, []string{"amc"},
		"Time an exchange waited for the insurer, from the start of connecting to the last byte received, answers and failures alike."},
	{added, Histogram, nil,
		"Time that the RPN itself took for an exchange: all of it, without the waiting for the annuaire, the DNS, the insurer (a free seat included) and the caller. Abandoned exchanges are left out."},
	{requestSize, Histogram, nil,
		"Size of the requests whose body was read."},
	{answerSize, Histogram, nil,
		"Size of the answers, our faults included."},
	{answerChecks, Counter, []string{"outcome"},
		"Answers of insurers whose signature was checked, by outcome: good, or the reason it is not."},
	{replays, Counter, nil,
		"Signed messages that came again within their life, refused or let pass by policy."},
	{replaysForgotten, Counter, nil,
		"Signed messages that were forgotten within their life, because their signer sent more than the window of this instance holds: a replay of one of them passes here."},
	{vihf, Counter, []string{"outcome"},
		"VIHF of requests whose signature and structure are good, by outcome: good, or the outcome that policies.vihf acts on."},
	{secondOpinions, Counter, []string{"result"},
		"Signatures verified a second time with other libraries, by result: agrees, disagrees (an alarm: look at our code), cannot (they are known to get such a message wrong)."},
	{rsaVerify, Gauge, []string{"way", "self_test"},
		"Always 1; the labels say which way RSA signatures are verified (vectors or portable) and how the self-test ended (passed, failed, not-run)."},
	{clockOffset, Histogram, nil,
		"How far the clocks of signers are from ours, ahead or behind, by the signed Created; who, is at /horloges."},
	{inFlight, Gauge, nil,
		"Exchanges whose answer is not written yet."},
	{shedRatio, Gauge, nil,
		"The part of the messages that is refused now for want of a processor (cause load-shed), the least important first: 0 while every message has its turn in time."},
	{capacityRatio, Gauge, []string{"what"},
		"The part of a resource of this instance that is taken, 0 to 1: connections, exchanges (in flight) or memory (bytes of messages and answers). From 0.75 on only who holds little is served."},
	{restingAddresses, Gauge, nil,
		"Addresses of insurers that rest after repeated failures: which, is at /readyz (amc) and in the log (event amc_resting)."},
	{restingSince, Gauge, nil,
		"Since when the address that rests longest has rested, in seconds since the epoch; absent while none rests."},
	{limitsShared, Gauge, nil,
		"Whether the limits of establishments are held over all instances (1), or each instance gives its part (0); absent without Redis."},
	{mailLetters, Gauge, []string{"state"},
		"Letters of the outbox that were not sent, or not to all: waiting, doubted (nobody knows whether they were sent) or undelivered (refused by an address, or too late); rpn indicators mail list."},
	{mailOldest, Gauge, nil,
		"Since when the letter that waits longest has been in the outbox, in seconds since the epoch; absent while none waits."},
	{causes, Counter, []string{"cause"},
		"Exchanges that were not answered, by the stable name of their cause (docs/refusals.md)."},
	{unsolicited, Counter, nil,
		"Times that a remote host sent bytes that answer nothing: its idle connections were closed, and its name is in the log (event unsolicited_answer)."},
	{lateAnswers, Counter, nil,
		"Answers of remote hosts that began within a minute after the deadline of their exchange (RPN402): which, is in the log (event late_answer)."},
	{malformed, Counter, []string{"rule"},
		"Requests refused for their HTTP framing, by the rule they break; each has its record, as RPN202."},
	{logDropped, Counter, nil,
		"Lines of the log that nobody could be given: its reader had stopped and the queue was full, or it was gone."},
	{overLimit, Counter, []string{"cause"},
		"Messages that passed although they are beyond the limit of their establishment (limits.mode: observe), by the cause that a refusal would have."},
	{turnedAway, Counter, nil,
		"Connections of establishments closed without a word, after their handshake: their structure had too many, or all were taken, and enough were being told so."},
	{descriptions, Counter, nil,
		"Descriptions (GET /roc?wsdl, GET /roc?xsd=) that were answered; they are no exchanges."},
	{handshakes, Counter, []string{"version", "resumed"},
		"TLS handshakes of establishments that succeeded, by TLS version and whether the session was resumed."},
	{handshakeFailures, Counter, []string{"reason"},
		"TLS handshakes of establishments that failed, by reason."},
	{connectionsOpen, Gauge, []string{"side"},
		"Connections open with an accepted peer, by side: etablissements or amc (the annuaire with them)."},
	{connectionsCut, Counter, []string{"side", "reason"},
		"Connections closed because their peer is no longer accepted, by side and reason (revoked, denied, expired, unknown-ca, struck-off...)."},
	{journalRecords, Counter, nil,
		"Records in the journal since it exists: exchanges, what amends them, marks."},
	{journalUnsealed, Gauge, nil,
		"Records that no signed checkpoint covers yet: the delay of the seal, which no exchange waits for."},
	{journalSealed, Gauge, nil,
		"When the last checkpoint of the journal was signed; absent until the first one."},
	{journalRoom, Gauge, nil,
		"Records that are certain to find room, in addition to what is promised to the exchanges in flight. At 0 exchanges are refused, or counted, by policy."},
	{journalBytes, Gauge, nil,
		"Size of the closed segments of the journal."},
	{journalSegments, Gauge, []string{"state"},
		"Segments of the journal: closed, or full and waiting to be closed."},
	{journalGaps, Counter, []string{"gap"},
		"What has no record in the journal: exchanges not-recorded (carried) or turned-away (refused), and amending records (not-amended). A mark in the journal reports it when there is room again."},
	{journalErrors, Counter, []string{"step"},
		"Failures of the journal, by step: write, sync, seal, close, room, read."},
	{journalDamaged, Gauge, nil,
		"Records found damaged since the start; run rpn journal verify."},
	{evidenceAt, Gauge, []string{"by"},
		"When a checkpoint of the journal was last confirmed by somebody else, by whom: timestamp (the authority of journal.timestamp) or witnesses (a quorum of journal.witnesses). Absent until the first one."},
	{evidenceFailures, Counter, []string{"by"},
		"Times that a checkpoint could not be confirmed; it is tried again, and /readyz says why."},
	{providerFailures, Counter, nil,
		"Times that the provider of identities of the portal did not answer, or answered badly; certificates let in all the same, and /readyz says why."},
	{figuresBehind, Gauge, nil,
		"Records of the journal that are in no figure of the store yet."},
	{figuresLag, Gauge, nil,
		"For how long, at most, a record has been waiting to be in the figures of the store, in seconds; 0 when none waits. Above 60 they are late."},
	{figuresFailures, Counter, nil,
		"Times that the figures could not be brought up to date: the store, or the journal's folder; /readyz says why. They catch up."},
	{listIssued, Gauge, []string{"ca"},
		"When the revocation list in use of this CA was made (thisUpdate), in seconds since the epoch: its age is now minus this."},
	{listEnds, Gauge, []string{"ca"},
		"When the revocation list in use of this CA should have been replaced (nextUpdate), in seconds since the epoch."},
	{listEntries, Gauge, []string{"ca"},
		"Certificates that the revocation list in use of this CA revokes."},
	{listServes, Gauge, []string{"ca"},
		"Whether the revocation list of this CA is still accepted (1) or is past its grace period (0): then the policy of that CA decides, closed or open."},
	{listSources, Gauge, []string{"state"},
		"Distribution points of revocation lists, by the state of the last attempt: good, failing, or never (nothing was ever obtained there)."},
	{listConfirmed, Gauge, nil,
		"When the revocation list that was confirmed longest ago was last obtained or confirmed unchanged, in seconds since the epoch; absent while one never was."},
	{denySequence, Gauge, nil,
		"Sequence of the emergency deny list in force."},
	{denyEntries, Gauge, nil,
		"Entries of the emergency deny list in force."},
	{denyGood, Gauge, nil,
		"Whether the file of the emergency deny list is the list in force (1), or was refused (0)."},
	{annuaireLookups, Counter, []string{"source"},
		"Lookups in the annuaire's directory, by where the answer came from: memory, or the annuaire itself."},
	{annuaireAsks, Counter, []string{"outcome"},
		"Questions put to the annuaire, by outcome: answered, unknown (no such insurer), silent, refused (an answer that failed its checks) or failed."},
	{annuaireStale, Counter, nil,
		"Lookups answered from memory by an answer that was no longer fresh, while it was revalidated in the background."},
	{annuaireRenewals, Counter, nil,
		"Questions asked in the background to keep an answer fresh, for which no exchange waited."},
	{annuaireKept, Counter, []string{"from", "result"},
		"Answers kept elsewhere that were read, from disk or redis, by result: used, disbelieved (bad signature, other key; from is then any), rolled-back (of before a move that is known) or damaged (a record of the file that cannot be read)."},
	{annuaireUnstored, Counter, nil,
		"Answers given and not stored: their establishment had as many new keys stored in the hour as annuaire.new_keys."},
	{annuaireLimited, Counter, nil,
		"Questions to the annuaire that waited because annuaire.per_second was reached."},
	{annuaireHeld, Gauge, nil,
		"Changes, a route and a host each, that are held back because the annuaire moved too many routes at once (changes, in spite of the name); above 0 an operator must check."},
	{redisUp, Gauge, nil,
		"Whether Redis answers (1) or this instance works alone (0); absent without Redis."},
	{annuaireKeys, Gauge, nil,
		"Answers of the annuaire that are kept in memory, fresh or not."},
	{annuaireLastAnswer, Gauge, nil,
		"When the annuaire last answered, in seconds since the epoch; absent until it has."},
	{reloads, Counter, []string{"what", "result"},
		"Attempts to load a configuration, register or certificate, by what and result: success or failure. After a failure the last good one stays."},
	{reloadSuccess, Gauge, []string{"what"},
		"Whether the last attempt to load it succeeded (1) or the last good one is still in use (0)."},
	{reloadTime, Gauge, []string{"what"},
		"When it was last loaded with success, in seconds since the epoch."},
	{certificates, Gauge, []string{"kind", "level"},
		"Certificates and CRLs known, by kind and by how near their end is: termine, 1j, 7j, 14j, 30j, 60j (days left at most) or ok. Those whose owner has been seen with a renewed one are left out."},
	{certificateCalls, Gauge, []string{"kind", "level"},
		"Exchanges of the last 24 hours that used the certificates of rpn_certificates: what is at stake."},
	{certificateEnd, Gauge, []string{"kind"},
		"When the first of the certificates of a kind ends, in seconds since the epoch; those that ended and the renewed ones are left out."},
	{buildInfo, Gauge, []string{"version", "revision", "goversion"},
		"Always 1; the labels say what runs."},
}

// etablissementMetrics are those of /metrics/etablissements.
var etablissementMetrics = []Metric{
	{etablissementExchanges, Counter, []string{"structure", "responsable"},
		"Exchanges that ended, by establishment of the register (its first Struct_IdNat) and who must act: personne after an answer."},
	{etablissementLimited, Counter, []string{"structure"},
		"Exchanges of an establishment that were refused because it sent too many (RPN110); they are also in rpn_etablissement_exchanges_total."},
	{etablissementSeconds, Counter, []string{"structure", "part"},
		"Time that the exchanges of an establishment took, by part: total, amc (waiting for the insurer) and rpn (see rpn_added_seconds)."},
	{etablissementInfo, Gauge, []string{"structure", "nom"},
		"Always 1, for each establishment of the register; the labels give its Struct_IdNat and its name."},
}

const (
	added                  = "rpn_added_seconds"
	capacityRatio          = "rpn_capacity_ratio"
	restingAddresses       = "rpn_amc_resting_addresses"
	restingSince           = "rpn_amc_rest_since_timestamp_seconds"
	limitsShared           = "rpn_limits_shared"
	mailLetters            = "rpn_mail_letters"
	mailOldest             = "rpn_mail_oldest_timestamp_seconds"
	etablissementExchanges = "rpn_etablissement_exchanges_total"
	etablissementLimited   = "rpn_etablissement_limited_total"
	etablissementSeconds   = "rpn_etablissement_seconds_total"
	etablissementInfo      = "rpn_etablissement_info"

	exchanges          = "rpn_exchanges_total"
	steps              = "rpn_exchange_step_seconds"
	amcTime            = "rpn_amc_seconds"
	amcExchanges       = "rpn_amc_exchanges_total"
	amcInfo            = "rpn_amc_info"
	annuaireUnstored   = "rpn_annuaire_unstored_total"
	annuaireLimited    = "rpn_annuaire_limited_total"
	requestSize        = "rpn_request_bytes"
	answerSize         = "rpn_answer_bytes"
	answerChecks       = "rpn_answer_checks_total"
	replays            = "rpn_replays_total"
	replaysForgotten   = "rpn_replays_forgotten_total"
	vihf               = "rpn_vihf_total"
	secondOpinions     = "rpn_second_opinions_total"
	rsaVerify          = "rpn_rsa_verify_info"
	clockOffset        = "rpn_clock_offset_seconds"
	shedRatio          = "rpn_shed_ratio"
	inFlight           = "rpn_exchanges_in_flight"
	malformed          = "rpn_malformed_requests_total"
	logDropped         = "rpn_log_dropped_lines_total"
	turnedAway         = "rpn_connections_turned_away_total"
	descriptions       = "rpn_descriptions_total"
	causes             = "rpn_causes_total"
	lateAnswers        = "rpn_late_answers_total"
	overLimit          = "rpn_over_limit_total"
	unsolicited        = "rpn_unsolicited_answers_total"
	handshakes         = "rpn_tls_handshakes_total"
	handshakeFailures  = "rpn_tls_handshake_failures_total"
	connectionsOpen    = "rpn_connections_open"
	connectionsCut     = "rpn_connections_closed_total"
	journalRecords     = "rpn_journal_records_total"
	journalUnsealed    = "rpn_journal_unsealed_records"
	journalSealed      = "rpn_journal_last_seal_timestamp_seconds"
	journalRoom        = "rpn_journal_room_records"
	journalBytes       = "rpn_journal_closed_bytes"
	journalSegments    = "rpn_journal_segments"
	journalGaps        = "rpn_journal_gaps_total"
	journalErrors      = "rpn_journal_errors_total"
	journalDamaged     = "rpn_journal_damaged_records"
	evidenceAt         = "rpn_journal_confirmed_timestamp_seconds"
	evidenceFailures   = "rpn_journal_confirm_failures_total"
	providerFailures   = "rpn_portal_provider_failures_total"
	figuresBehind      = "rpn_indicators_behind_records"
	figuresLag         = "rpn_indicators_lag_seconds"
	figuresFailures    = "rpn_indicators_failures_total"
	listIssued         = "rpn_revocation_list_issued_timestamp_seconds"
	listEnds           = "rpn_revocation_list_ends_timestamp_seconds"
	listEntries        = "rpn_revocation_list_entries"
	listServes         = "rpn_revocation_list_serves"
	listSources        = "rpn_revocation_sources"
	listConfirmed      = "rpn_revocation_oldest_confirmation_timestamp_seconds"
	denySequence       = "rpn_deny_list_sequence"
	denyEntries        = "rpn_deny_list_entries"
	denyGood           = "rpn_deny_list_good"
	annuaireLookups    = "rpn_annuaire_lookups_total"
	annuaireAsks       = "rpn_annuaire_asks_total"
	annuaireStale      = "rpn_annuaire_stale_total"
	annuaireRenewals   = "rpn_annuaire_renewals_total"
	annuaireKept       = "rpn_annuaire_kept_total"
	annuaireHeld       = "rpn_annuaire_held_keys"
	redisUp            = "rpn_redis_up"
	annuaireKeys       = "rpn_annuaire_keys"
	annuaireLastAnswer = "rpn_annuaire_last_answer_timestamp_seconds"
	reloads            = "rpn_reloads_total"
	reloadSuccess      = "rpn_reload_last_successful"
	reloadTime         = "rpn_reload_last_success_timestamp_seconds"
	certificates       = "rpn_certificates"
	certificateCalls   = "rpn_certificate_calls"
	certificateEnd     = "rpn_certificate_first_end_timestamp_seconds"
	buildInfo          = "rpn_build_info"
)

// Catalogue returns every metric of ours, in order: those of /metrics, then
// those of /metrics/etablissements. Dashboards and alerts may name nothing else.
func Catalogue() []Metric { return slices.Concat(catalogue, etablissementMetrics) }

func metric(name string) Metric {
	for _, m := range Catalogue() {
		if m.Name == name {
			return m
		}
	}
	panic("indicators: " + name + " is not in the catalogue")
}
