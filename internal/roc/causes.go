package roc

import (
	"slices"
	"strings"
)

// A CauseCode is the stable name of why, inside a Reason: rpn:Cause of a fault
// and cause_code of a record. Software may act on it; a name never changes its
// meaning. The list is closed: each one has a line in docs/refusals.md.
type CauseCode string

// The causes, by Reason.
const (
	// Overloaded.
	ListenerFull   CauseCode = "listener-full"
	ExchangesFull  CauseCode = "exchanges-full"
	AMCBusy        CauseCode = "amc-busy"
	OutOfResources CauseCode = "out-of-resources"
	LoadShed       CauseCode = "load-shed"
	// NoRoomForAnswer: the message was sent, and its answer does not fit.
	NoRoomForAnswer CauseCode = "no-room-for-answer"

	// NotSOAP.
	MalformedHTTP CauseCode = "malformed-http"
	Compressed    CauseCode = "compressed"
	Loop          CauseCode = "loop"

	// UnknownOperation.
	UnknownPath   CauseCode = "unknown-path"
	UnknownMethod CauseCode = "unknown-method"

	// AnnuaireRefused.
	ForbiddenAddress CauseCode = "forbidden-address"

	// AMCSuspended.
	SuspendedAMC  CauseCode = "amc-suspended"
	ClosedAMC     CauseCode = "amc-closed"
	MaintainedAMC CauseCode = "amc-maintenance"
	AnnouncedAMC  CauseCode = "amc-announced-pause"

	// AMCUnreachable.
	UnknownName       CauseCode = "unknown-name"
	ResolverDown      CauseCode = "resolver-down"
	NoRoute           CauseCode = "no-route"
	ConnectionRefused CauseCode = "connection-refused"
	ConnectTimeout    CauseCode = "connect-timeout"
	TLSFailed         CauseCode = "tls-failed"
	OurCertificate    CauseCode = "our-certificate-refused"
	// OurCertificateInvalid: it has ended or is revoked, and the far end ended the
	// connection.
	OurCertificateInvalid CauseCode = "our-certificate-invalid"

	// AMCSilent.
	NoAnswerInTime CauseCode = "no-answer-in-time"
	// The insurer was not given its time: the exchange had none left, or its
	// caller stated less (RPN-Delai-Ms). Before: nothing was sent.
	DeadlineBefore    CauseCode = "deadline-before-sending"
	NoTimeLeft        CauseCode = "no-answer-in-time-left"
	StatedDelayBefore CauseCode = "stated-delay-before-sending"
	StatedDelayAfter  CauseCode = "no-answer-in-stated-delay"

	// AMCBadAnswer.
	AnswerCut          CauseCode = "answer-cut"
	AnswerMalformed    CauseCode = "answer-malformed"
	AnswerTooLarge     CauseCode = "answer-too-large"
	AnswerToAnother    CauseCode = "answer-to-another-message"
	AnswerSignature    CauseCode = "answer-signature"
	AnswerLostHere     CauseCode = "answer-lost-by-rpn"
	AnswerLostOnTheWay CauseCode = "answer-lost-by-network"

	// AMCNotSOAP.
	AnswerEmpty     CauseCode = "answer-empty"
	AnswerRedirect  CauseCode = "answer-redirect"
	AnswerMediaType CauseCode = "answer-media-type"
	AnswerNoSOAP    CauseCode = "answer-not-an-envelope"

	// Of no Reason: the exchange was abandoned.
	CallerLeft   CauseCode = "caller-left"
	BodyStopped  CauseCode = "body-stopped"
	AnswerUnread CauseCode = "answer-unread"

	// Of no Reason: the far end's own fault, carried as it came.
	FarEndFault CauseCode = "far-end-fault"
)

// A CauseMeaning is what a cause adds to its Reason. For an empty field the
// Reason's own text is used.
type CauseMeaning struct {
	Reason      Reason // "": no refusal
	Responsable Responsable
	Libelle     string
	Remede      string
}

// VerifyBefore is what a refusal says when the AMC may have processed the message.
const VerifyBefore = "Le message a pu être traité : vérifiez avant de renvoyer un calcul ou une annulation."

type causeLine struct {
	code CauseCode
	CauseMeaning
}

var causes = slices.Concat(senderCauses, routeCauses, legCauses)

var legCauses = []causeLine{
	{ListenerFull, CauseMeaning{Overloaded, ByRPN,
		"Toutes les connexions que le RPN ROC peut tenir sont prises.",
		"Renvoyez le message après le délai indiqué (Retry-After), sur une connexion gardée ouverte."}},
	{ExchangesFull, CauseMeaning{Overloaded, ByRPN,
		"Le RPN ROC traite déjà autant de messages qu'il le peut.", ""}},
	{AMCBusy, CauseMeaning{Overloaded, "",
		"Toutes les connexions vers cet organisme sont occupées : il répond trop lentement pour ce qui lui est envoyé.", ""}},
	{OutOfResources, CauseMeaning{Overloaded, ByRPN,
		"Le RPN ROC manque de ressources (descripteurs, ports ou mémoire) pour ouvrir une connexion ; rien n'a été transmis.", ""}},
	{LoadShed, CauseMeaning{Overloaded, ByRPN,
		"Le RPN ROC reçoit plus de messages qu'il ne peut en traiter : les moins urgents sont refusés d'abord (simulations, puis recherches dans l'annuaire, puis droits).", ""}},
	{NoRoomForAnswer, CauseMeaning{Overloaded, ByRPN,
		"La mémoire que le RPN ROC peut employer est prise : la réponse de l'organisme n'a pas pu être gardée.", VerifyBefore}},

	{MalformedHTTP, CauseMeaning{NotSOAP, "",
		"La requête HTTP est mal formée.",
		"Écrivez l'en-tête et le corps selon la RFC 9112 : Content-Length ou des fragments (chunked), jamais les deux."}},
	{Compressed, CauseMeaning{NotSOAP, "",
		"Le message est compressé (Content-Encoding).",
		"Envoyez le message sans compression."}},
	{Loop, CauseMeaning{NotSOAP, "",
		"Le message est déjà passé par le RPN ROC : il tourne en boucle.",
		"Corrigez l'adresse du relais qui renvoie les messages vers le RPN ROC."}},

	{UnknownPath, CauseMeaning{UnknownOperation, "",
		"Aucun service du RPN ROC n'est à cette adresse.",
		"Envoyez les messages par POST à /roc ; la description est à GET /roc?wsdl."}},
	{UnknownMethod, CauseMeaning{UnknownOperation, "",
		"Cette méthode HTTP n'est pas admise.",
		"Envoyez les messages par POST à /roc ; la description est à GET /roc?wsdl."}},

	{ForbiddenAddress, CauseMeaning{AnnuaireRefused, "",
		"L'adresse donnée par l'annuaire pour cet organisme n'est pas une adresse publique.", ""}},

	{SuspendedAMC, CauseMeaning{AMCSuspended, "", "L'organisme complémentaire est suspendu.", ""}},
	{ClosedAMC, CauseMeaning{AMCSuspended, "", "L'organisme complémentaire a quitté le cercle de confiance.", "Passez par le circuit hors ROC pour cet organisme."}},
	{AnnouncedAMC, CauseMeaning{AMCSuspended, "", "L'organisme complémentaire a annoncé une indisponibilité.", "Renvoyez le message après le délai indiqué (Retry-After)."}},
	{MaintainedAMC, CauseMeaning{AMCSuspended, "", "L'organisme complémentaire est en maintenance.", "Renvoyez le message après le délai indiqué (Retry-After)."}},

	{UnknownName, CauseMeaning{AMCUnreachable, ByAMC,
		"Le nom de l'organisme n'existe pas dans le DNS ; rien n'a été transmis.",
		"Renvoyez le message plus tard ; l'organisme doit rétablir son nom ou son inscription à l'annuaire."}},
	{ResolverDown, CauseMeaning{AMCUnreachable, ByRPN,
		"Le RPN ROC n'a pas pu interroger le DNS ; rien n'a été transmis.", ""}},
	{NoRoute, CauseMeaning{AMCUnreachable, ByReseau,
		"Le réseau ne conduit pas à l'organisme ; rien n'a été transmis.", ""}},
	{ConnectionRefused, CauseMeaning{AMCUnreachable, ByAMC,
		"Le serveur de l'organisme refuse la connexion ; rien n'a été transmis.", ""}},
	{ConnectTimeout, CauseMeaning{AMCUnreachable, ByAMC,
		"Le serveur de l'organisme n'a pas établi la connexion dans le délai ; rien n'a été transmis.", ""}},
	{TLSFailed, CauseMeaning{AMCUnreachable, ByAMC,
		"La connexion TLS avec l'organisme a échoué ; rien n'a été transmis.", ""}},
	{OurCertificate, CauseMeaning{AMCUnreachable, ByAMC,
		"Le serveur de l'organisme a refusé le certificat du RPN ROC.",
		"Renvoyez le message plus tard ; l'organisme doit autoriser le certificat du RPN ROC."}},
	{OurCertificateInvalid, CauseMeaning{AMCUnreachable, ByRPN,
		"Le certificat du RPN ROC a expiré ou est révoqué : le serveur de l'organisme a fermé la connexion.",
		"Renvoyez le message plus tard ; l'exploitant du RPN ROC doit renouveler son certificat."}},

	{NoAnswerInTime, CauseMeaning{AMCSilent, "", "", ""}},
	{DeadlineBefore, CauseMeaning{AMCSilent, ByRPN,
		"Le délai est passé au RPN ROC avant l'envoi : rien n'a été transmis à l'organisme.",
		"Renvoyez le message."}},
	{NoTimeLeft, CauseMeaning{AMCSilent, ByRPN,
		"Quand le message est parvenu à l'organisme, il restait trop peu du délai de l'échange pour qu'il réponde.", VerifyBefore}},
	{StatedDelayBefore, CauseMeaning{AMCSilent, ByEtablissement,
		"Le délai que l'établissement indique (RPN-Delai-Ms) est passé avant l'envoi : rien n'a été transmis à l'organisme.",
		"Renvoyez le message, avec un RPN-Delai-Ms plus long, ou sans."}},
	{StatedDelayAfter, CauseMeaning{AMCSilent, ByEtablissement,
		"L'organisme n'a pas répondu dans le délai que l'établissement indique (RPN-Delai-Ms), trop court pour conclure qu'il ne répond pas.",
		"Indiquez un RPN-Delai-Ms plus long. Le message a pu être traité : vérifiez avant de renvoyer un calcul ou une annulation."}},

	{AnswerCut, CauseMeaning{AMCBadAnswer, "",
		"La connexion avec l'organisme a été coupée avant la fin de sa réponse.", VerifyBefore}},
	{AnswerMalformed, CauseMeaning{AMCBadAnswer, "",
		"La réponse de l'organisme n'est pas une réponse HTTP bien formée.", VerifyBefore}},
	{AnswerTooLarge, CauseMeaning{AMCBadAnswer, "",
		"La réponse de l'organisme dépasse la taille admise.", VerifyBefore}},
	{AnswerToAnother, CauseMeaning{AMCBadAnswer, "",
		"La réponse de l'organisme porte l'identifiant d'un autre message (wsa:RelatesTo) : elle n'est pas remise.", VerifyBefore}},
	{AnswerSignature, CauseMeaning{AMCBadAnswer, "",
		"La signature de la réponse de l'organisme n'est pas acceptée.", VerifyBefore}},

	{AnswerLostHere, CauseMeaning{AMCBadAnswer, ByRPN,
		"Le RPN ROC n'a pas pu lire la réponse de l'organisme : sa machine manque de ressources.", VerifyBefore}},
	{AnswerLostOnTheWay, CauseMeaning{AMCBadAnswer, ByReseau,
		"Le réseau vers l'organisme a été coupé pendant l'échange.", VerifyBefore}},

	{AnswerEmpty, CauseMeaning{AMCNotSOAP, "",
		"L'organisme a répondu sans message (réponse vide, 202 ou 204).", VerifyBefore}},
	{AnswerRedirect, CauseMeaning{AMCNotSOAP, "",
		"L'organisme a répondu par une redirection, qui n'est jamais suivie.",
		"Renvoyez le message plus tard ; l'organisme doit corriger son adresse à l'annuaire."}},
	{AnswerMediaType, CauseMeaning{AMCNotSOAP, "",
		"L'organisme a répondu par un autre contenu qu'un message SOAP (par exemple une page HTML).", ""}},
	{AnswerNoSOAP, CauseMeaning{AMCNotSOAP, "",
		"La réponse de l'organisme n'est pas une enveloppe SOAP.", ""}},

	{CallerLeft, CauseMeaning{"", ByEtablissement,
		"L'appelant a fermé la connexion avant la réponse.", "Attendez la réponse plus longtemps que le délai du RPN ROC."}},
	{BodyStopped, CauseMeaning{"", ByEtablissement,
		"Le corps du message n'est pas arrivé en entier dans le délai.", "Vérifiez le réseau de l'établissement et renvoyez le message."}},
	{AnswerUnread, CauseMeaning{"", ByEtablissement,
		"La réponse n'a pas pu être écrite à l'appelant.", "Le message a été traité : vérifiez avant de renvoyer un calcul ou une annulation."}},

	{FarEndFault, CauseMeaning{"", "",
		"L'organisme a répondu par une erreur, remise telle quelle.", "Lisez l'erreur de l'organisme."}},
}

// Causes lists every cause, by Reason.
func Causes() []CauseCode {
	list := make([]CauseCode, len(causes))
	for i := range causes {
		list[i] = causes[i].code
	}
	return list
}

// Meaning returns what the cause adds to its Reason; nothing when the cause is
// not of the list.
func (c CauseCode) Meaning() CauseMeaning {
	for i := range causes {
		if causes[i].code == c {
			return causes[i].CauseMeaning
		}
	}
	return CauseMeaning{}
}

// MayBeProcessed reports whether a refusal tells that the AMC may have processed
// the message: a calculation or a cancellation is verified before it is sent
// again.
func (r Reason) MayBeProcessed(c CauseCode) bool {
	_, sentence, _ := strings.Cut(VerifyBefore, " ")
	return strings.Contains(r.MeaningWith(c).Remede, sentence)
}

// MeaningWith returns the meaning of the reason with what a cause of it adds.
func (r Reason) MeaningWith(c CauseCode) Meaning {
	m, add := r.Meaning(), c.Meaning()
	if c == "" || add.Reason != r {
		return m
	}
	if add.Responsable != "" {
		m.Responsable = add.Responsable
	}
	if add.Libelle != "" {
		m.Libelle = add.Libelle
	}
	if add.Remede != "" {
		m.Remede = add.Remede
	}
	return m
}
