package roc

// This file has the causes of what is refused while the insurer of a message is
// found and asked for, and of our own faults.

// The causes, by Reason.
const (
	// UnknownAMC.
	UnknownNumber CauseCode = "unknown-number"

	// ServiceNotOffered.
	VersionNotOpen CauseCode = "version-not-open"
	NotInROC       CauseCode = "not-in-roc"
	NoSuchService  CauseCode = "no-such-service"

	// OutsideCircle.
	InAccrochage           CauseCode = "state-accrochage"
	InFormation            CauseCode = "state-formation"
	UnderSurveillance      CauseCode = "state-surveillance"
	AMCOutsideCircle       CauseCode = "amc-outside-circle"
	AMCOnTrial             CauseCode = "amc-on-trial"
	VersionOfEstablishment CauseCode = "establishment-version"
	NoState                CauseCode = "no-state"

	// AnnuaireSilent.
	NoAnnuaire          CauseCode = "no-annuaire"
	AnnuaireUnreachable CauseCode = "annuaire-unreachable"
	AnnuaireOurs        CauseCode = "annuaire-rpn-fault"
	AnnuaireNetwork     CauseCode = "annuaire-no-route"
	AnnuaireStatedDelay CauseCode = "annuaire-stated-delay"

	// AnnuaireRefused.
	AnnuaireBadAnswer CauseCode = "annuaire-bad-answer"
	UnusableAddress   CauseCode = "unusable-address"

	// Quarantined.
	NewAMC         CauseCode = "new-amc"
	NewDomain      CauseCode = "new-domain"
	AwaitsOperator CauseCode = "awaits-operator"

	// AMCResting.
	AMCRests CauseCode = "circuit-open"

	// AMCUnreachable.
	ClockWrong CauseCode = "clock-wrong"

	// Internal.
	JournalWrite CauseCode = "journal-write"
	ProgramFault CauseCode = "program-fault"
)

var routeCauses = []causeLine{
	{UnknownNumber, CauseMeaning{UnknownAMC, "", "", ""}},

	{VersionNotOpen, CauseMeaning{ServiceNotOffered, "",
		"L'organisme n'est pas ouvert à cette version.",
		"Envoyez le message dans la version que l'organisme offre."}},
	{NotInROC, CauseMeaning{ServiceNotOffered, "",
		"L'organisme ne participe pas à ROC.",
		"Passez par le circuit hors ROC pour cet organisme."}},
	{NoSuchService, CauseMeaning{ServiceNotOffered, "",
		"L'organisme n'offre pas ce service.",
		"Passez par le circuit hors ROC pour ce service."}},

	{InAccrochage, CauseMeaning{OutsideCircle, "",
		"",
		"En accrochage, appelez la plateforme de validation."}},
	{InFormation, CauseMeaning{OutsideCircle, "",
		"",
		"En formation, appelez la Mutuelle ANS."}},
	{UnderSurveillance, CauseMeaning{OutsideCircle, "",
		"",
		"Sous surveillance, appelez l'AMC miroir, ou demandez à l'ANS l'entrée au cercle."}},
	{AMCOutsideCircle, CauseMeaning{OutsideCircle, "",
		"Cet organisme n'est pas dans le cercle de confiance.",
		"Passez par le circuit hors ROC pour cet organisme."}},
	{AMCOnTrial, CauseMeaning{OutsideCircle, "",
		"Cet organisme est en essai : il ne reçoit que les établissements de ses essais.",
		"Passez par le circuit hors ROC pour cet organisme."}},
	{VersionOfEstablishment, CauseMeaning{OutsideCircle, "",
		"L'établissement n'est pas ouvert à cette version.",
		"Envoyez le message dans une version ouverte à l'établissement, ou demandez l'ouverture à l'ANS."}},
	{NoState, CauseMeaning{OutsideCircle, "",
		"L'état de l'établissement ne permet aucun échange.",
		"Adressez-vous à l'ANS."}},

	{NoAnnuaire, CauseMeaning{AnnuaireSilent, ByRPN,
		"Aucun annuaire n'est configuré au RPN ROC.",
		"Signalez-le à l'exploitant du RPN ROC."}},
	{AnnuaireUnreachable, CauseMeaning{AnnuaireSilent, "", "", ""}},
	{AnnuaireOurs, CauseMeaning{AnnuaireSilent, ByRPN,
		"Le RPN ROC n'a pas pu interroger l'annuaire.",
		""}},
	{AnnuaireNetwork, CauseMeaning{AnnuaireSilent, ByReseau,
		"Le réseau ne conduit pas à l'annuaire.",
		""}},
	{AnnuaireStatedDelay, CauseMeaning{AnnuaireSilent, ByEtablissement,
		"L'annuaire n'a pas répondu dans le délai que l'établissement indique (RPN-Delai-Ms) ; rien n'a été transmis à l'organisme.",
		"Renvoyez le message, avec un RPN-Delai-Ms plus long, ou sans."}},

	{AnnuaireBadAnswer, CauseMeaning{AnnuaireRefused, "", "", ""}},
	{UnusableAddress, CauseMeaning{AnnuaireRefused, "",
		"L'adresse donnée par l'annuaire pour cet organisme n'est pas utilisable.",
		""}},

	{NewAMC, CauseMeaning{Quarantined, "",
		"L'organisme est à l'annuaire mais n'est pas encore inscrit au RPN ROC.",
		"Renvoyez le message plus tard ; l'ANS doit d'abord inscrire cet organisme."}},
	{NewDomain, CauseMeaning{Quarantined, "", "", ""}},
	{AwaitsOperator, CauseMeaning{Quarantined, "",
		"Ce que l'annuaire dit de cet organisme attend une décision de l'exploitant.",
		""}},

	{AMCRests, CauseMeaning{AMCResting, "", "", ""}},

	{ClockWrong, CauseMeaning{AMCUnreachable, ByRPN,
		"Le certificat de l'organisme n'est pas valable à l'heure du RPN ROC, et il n'est pas le seul : l'horloge du RPN ROC est sans doute fausse.",
		"Renvoyez le message plus tard ; l'exploitant du RPN ROC doit régler son horloge."}},

	{JournalWrite, CauseMeaning{Internal, "",
		"L'échange n'a pas pu être écrit au journal du RPN ROC.",
		"Le message a pu être traité : vérifiez avant de renvoyer un calcul ou une annulation."}},
	{ProgramFault, CauseMeaning{Internal, "", "", ""}},
}
