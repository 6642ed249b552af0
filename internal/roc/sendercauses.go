package roc

// This file has the causes of what is refused of a message by itself: who sent it,
// how it is written and signed. routecauses.go has those of finding its insurer,
// causes.go those of the insurers' leg.

// The causes, by Reason.
const (
	// UnknownStructure.
	NoStructureID    CauseCode = "no-structure-id"
	NotRegistered    CauseCode = "structure-not-registered"
	NotYetRegistered CauseCode = "structure-not-yet-registered"

	// Suspended.
	EstablishmentClosed CauseCode = "establishment-closed"

	// Revoked.
	RevokedConnection CauseCode = "connection-certificate-refused"
	RevokedSigner     CauseCode = "signer-revoked"
	RevocationUnknown CauseCode = "signer-revocation-unknown"

	// TooMany.
	RateExceeded       CauseCode = "rate-exceeded"
	ByteRateExceeded   CauseCode = "byte-rate-exceeded"
	TooManyConnections CauseCode = "too-many-connections"
	ShareOfRPN         CauseCode = "share-of-rpn-taken"
	ShareOfAMC         CauseCode = "share-of-amc-taken"

	// Overloaded.
	AMCRate     CauseCode = "amc-rate-reached"
	JournalFull CauseCode = "journal-full"

	// TooLarge.
	MessageTooLarge CauseCode = "message-too-large"
	TooManyParts    CauseCode = "too-many-parts"

	// NotSOAP.
	EmptyMessage   CauseCode = "message-empty"
	NotAnEnvelope  CauseCode = "not-an-envelope"
	BadContentType CauseCode = "bad-content-type"
	BadHeader      CauseCode = "bad-header"

	// ForbiddenXML.
	OtherEncoding    CauseCode = "other-encoding"
	HasDoctype       CauseCode = "doctype"
	HasInstruction   CauseCode = "processing-instruction"
	HasEntity        CauseCode = "entity"
	MessageTruncated CauseCode = "message-truncated"
	MalformedXML     CauseCode = "malformed-xml"
	BadNamespace     CauseCode = "bad-namespace"
	CommentInText    CauseCode = "comment-in-text"

	// UnknownOperation.
	UnknownRequest   CauseCode = "unknown-request"
	ActionsDisagree  CauseCode = "actions-disagree"
	ActionUnreadable CauseCode = "action-unreadable"

	// NotSigned.
	NoSignature   CauseCode = "no-signature"
	VIHFNotSigned CauseCode = "vihf-not-signed"

	// BadSignature.
	BadIDs            CauseCode = "bad-ids"
	BadSecurityHeader CauseCode = "bad-security-header"
	BadSignatureForm  CauseCode = "bad-signature-form"
	BadReference      CauseCode = "bad-reference"
	DigestDiffers     CauseCode = "digest-differs"
	ValueDiffers      CauseCode = "signature-value-differs"
	BadVIHFSignature  CauseCode = "bad-vihf-signature"

	// PartNotSigned.
	BodyNotSigned      CauseCode = "body-not-signed"
	NoTimestamp        CauseCode = "no-timestamp"
	TimestampNotSigned CauseCode = "timestamp-not-signed"
	VIHFNotCovered     CauseCode = "vihf-not-covered"

	// ForbiddenAlgorithm.
	SignatureAlgorithm CauseCode = "signature-algorithm"
	DigestAlgorithm    CauseCode = "digest-algorithm"
	Canonicalization   CauseCode = "canonicalization"
	Transforms         CauseCode = "transforms"
	SignerKey          CauseCode = "signer-key"

	// UntrustedSigner.
	CertificateMissing     CauseCode = "certificate-not-in-message"
	CertificateAmbiguous   CauseCode = "certificate-ambiguous"
	CertificateUnreadable  CauseCode = "certificate-unreadable"
	SignerExpired          CauseCode = "signer-expired"
	SignerNotYetValid      CauseCode = "signer-not-yet-valid"
	NotASigningCertificate CauseCode = "not-a-signing-certificate"
	TLSCertificate         CauseCode = "tls-certificate"
	UnknownAuthority       CauseCode = "unknown-authority"
	WrongCategory          CauseCode = "wrong-category"
	SignerRules            CauseCode = "signer-rules"
	NoAuthority            CauseCode = "no-authority"
	SignerNoStructure      CauseCode = "signer-without-structure"

	// SignerMismatch.
	OtherSigner     CauseCode = "other-signer"
	VIHFOtherSigner CauseCode = "vihf-other-signer"

	// StaleTimestamp.
	TimestampMalformed CauseCode = "timestamp-malformed"
	TimestampLife      CauseCode = "timestamp-life"
	ClockAhead         CauseCode = "clock-ahead"
	MessageExpired     CauseCode = "message-expired"
	TimeZone           CauseCode = "time-zone"
	VIHFConditions     CauseCode = "vihf-conditions"

	// Replayed.
	SeenBefore CauseCode = "signature-seen-before"

	// StructureMismatch.
	OtherEJ          CauseCode = "finess-ej"
	OtherEG          CauseCode = "finess-eg"
	OtherCertificate CauseCode = "certificate-of-another"
	VIHFStructure    CauseCode = "vihf-structure"
	AddressOfAnother CauseCode = "address-of-another"

	// BadKey.
	FieldMissing   CauseCode = "field-missing"
	FieldTwice     CauseCode = "field-twice"
	FieldMisplaced CauseCode = "field-misplaced"
	FieldMalformed CauseCode = "field-malformed"
	FacadeAddress  CauseCode = "facade-address"
)

var senderCauses = []causeLine{
	{NoStructureID, CauseMeaning{UnknownStructure, "",
		"Le certificat client ne porte pas d'identifiant de structure.",
		"Demandez à l'IGC-Santé un certificat d'authentification de structure : son OU porte l'identifiant."}},
	{NotRegistered, CauseMeaning{UnknownStructure, "",
		"",
		"Demandez l'inscription de l'établissement à l'ANS, ou présentez le certificat d'une structure inscrite."}},
	{NotYetRegistered, CauseMeaning{UnknownStructure, "",
		"La structure de ce certificat n'est pas encore inscrite au RPN ROC.",
		"Attendez la date d'inscription, ou voyez-la avec l'ANS."}},

	{EstablishmentClosed, CauseMeaning{Suspended, "", "", ""}},

	{RevokedConnection, CauseMeaning{Revoked, "",
		"Le certificat de connexion n'est plus accepté.",
		"Reconnectez-vous avec un certificat valide : la poignée de main TLS, dans le journal du RPN ROC, en donne le motif."}},
	{RevokedSigner, CauseMeaning{Revoked, "",
		"Le certificat de signature est révoqué.",
		""}},
	{RevocationUnknown, CauseMeaning{Revoked, ByRPN,
		"Il n'a pas pu être vérifié que le certificat de signature n'est pas révoqué.",
		"Renvoyez le message plus tard ; l'exploitant du RPN ROC doit rétablir la liste de révocation de cette autorité."}},

	{RateExceeded, CauseMeaning{TooMany, "", "", ""}},
	{ByteRateExceeded, CauseMeaning{TooMany, "",
		"L'établissement envoie plus d'octets par seconde que sa limite ne le permet.",
		""}},
	{TooManyConnections, CauseMeaning{TooMany, "",
		"L'établissement tient plus de connexions que sa part.",
		"Gardez moins de connexions, ouvertes plus longtemps."}},
	{ShareOfRPN, CauseMeaning{TooMany, "",
		"L'établissement occupe déjà sa part du RPN ROC.",
		"Attendez la fin des échanges en cours avant d'en ouvrir d'autres."}},
	{ShareOfAMC, CauseMeaning{TooMany, "",
		"L'établissement occupe déjà sa part auprès de cet organisme.",
		"Attendez le délai indiqué (Retry-After) avant d'écrire de nouveau à cet organisme ; les autres restent joignables."}},

	{AMCRate, CauseMeaning{Overloaded, "",
		"Cet organisme reçoit déjà autant de messages par seconde qu'il en admet.",
		""}},
	{JournalFull, CauseMeaning{Overloaded, ByRPN,
		"Le RPN ROC ne peut plus écrire son journal : aucun échange ne passe sans trace.",
		"Renvoyez le message après le délai indiqué (Retry-After) ; l'exploitant du RPN ROC est prévenu."}},

	{MessageTooLarge, CauseMeaning{TooLarge, "",
		"Le message dépasse la taille admise.",
		""}},
	{TooManyParts, CauseMeaning{TooLarge, "",
		"Le message dépasse un nombre admis (éléments, attributs, profondeur, noms).",
		""}},

	{EmptyMessage, CauseMeaning{NotSOAP, "",
		"Le message est vide.",
		"Envoyez l'enveloppe SOAP dans le corps de la requête HTTP."}},
	{NotAnEnvelope, CauseMeaning{NotSOAP, "",
		"",
		"Envoyez une enveloppe SOAP 1.1 ou 1.2 : un Header au plus, un Body, et un seul élément dans le Body."}},
	{BadContentType, CauseMeaning{NotSOAP, "",
		"L'en-tête Content-Type ne convient pas.",
		"Écrivez text/xml; charset=utf-8 (SOAP 1.1) ou application/soap+xml; charset=utf-8 (SOAP 1.2)."}},
	{BadHeader, CauseMeaning{NotSOAP, "",
		"Un en-tête HTTP est mal formé.",
		"Corrigez l'en-tête, ou ne l'envoyez pas : il est facultatif."}},

	{OtherEncoding, CauseMeaning{ForbiddenXML, "",
		"Le message n'est pas en UTF-8.",
		"Écrivez le message en UTF-8, et déclarez-le ainsi."}},
	{HasDoctype, CauseMeaning{ForbiddenXML, "",
		"",
		"Retirez la DTD (DOCTYPE)."}},
	{HasInstruction, CauseMeaning{ForbiddenXML, "",
		"",
		"Retirez les instructions de traitement (<?...?>), hors la déclaration XML."}},
	{HasEntity, CauseMeaning{ForbiddenXML, "",
		"",
		"Écrivez « & » sous la forme &amp; et n'employez que les cinq entités prédéfinies."}},
	{MessageTruncated, CauseMeaning{ForbiddenXML, "",
		"Le message est tronqué.",
		"Vérifiez que Content-Length est compté en octets (non en caractères) et que le message part en entier."}},
	{MalformedXML, CauseMeaning{ForbiddenXML, "",
		"Le message n'est pas du XML bien formé.",
		"Faites écrire le message par une bibliothèque XML ; il n'est jamais réparé."}},
	{BadNamespace, CauseMeaning{ForbiddenXML, "",
		"",
		"Déclarez chaque préfixe, avec une URI absolue."}},
	{CommentInText, CauseMeaning{ForbiddenXML, "",
		"",
		"Retirez les commentaires du Body."}},

	{UnknownRequest, CauseMeaning{UnknownOperation, "",
		"L'élément du Body n'est une requête d'aucun service.",
		"Reprenez l'espace de noms et le nom de la requête dans le WSDL (GET /roc?wsdl), à la casse près."}},
	{ActionsDisagree, CauseMeaning{UnknownOperation, "",
		"Une action annoncée ne désigne pas l'opération du Body.",
		"Écrivez l'action du WSDL dans SOAPAction, dans le paramètre action et dans wsa:Action, ou n'en écrivez aucune."}},
	{ActionUnreadable, CauseMeaning{UnknownOperation, "",
		"Une action annoncée est illisible, ou donnée deux fois.",
		"Écrivez l'action du WSDL une fois, entre guillemets dans SOAPAction."}},

	{NoSignature, CauseMeaning{NotSigned, "", "", ""}},
	{VIHFNotSigned, CauseMeaning{NotSigned, "",
		"Le VIHF n'est pas signé.",
		"Signez l'assertion (signature enveloppée) avec le certificat de signature de l'établissement."}},

	{BadIDs, CauseMeaning{BadSignature, "",
		"Les Ids du message ne sont pas uniques et simples.",
		"Donnez à chaque élément un seul Id, sans blanc, unique dans tout le message."}},
	{BadSecurityHeader, CauseMeaning{BadSignature, "",
		"L'en-tête wsse:Security n'a pas la forme attendue.",
		"Laissez dans wsse:Security un Timestamp, une Signature, un BinarySecurityToken et au plus un VIHF, rien d'autre."}},
	{BadSignatureForm, CauseMeaning{BadSignature, "",
		"La signature n'a pas la structure attendue.",
		"Suivez l'ordre du schéma XMLDSig, sans ds:Object, avec du base64 strict."}},
	{BadReference, CauseMeaning{BadSignature, "",
		"Une référence de la signature ne désigne pas une partie qui peut être signée.",
		"Référencez par #Id le Body, le Timestamp, le jeton ou un enfant direct de Header, chacun une fois."}},
	{DigestDiffers, CauseMeaning{BadSignature, "",
		"",
		"Rien ne doit changer le message après la signature (mise en forme, passerelle) ; `rpn verify` cherche la modification."}},
	{ValueDiffers, CauseMeaning{BadSignature, "",
		"",
		"Vérifiez que la clé qui signe est celle du certificat joint, et que SignedInfo n'est pas modifié ensuite."}},
	{BadVIHFSignature, CauseMeaning{BadSignature, "",
		"La signature du VIHF n'est pas valide.",
		"Signez l'assertion par une seule référence, avec enveloped-signature puis exc-c14n."}},

	{BodyNotSigned, CauseMeaning{PartNotSigned, "", "", ""}},
	{NoTimestamp, CauseMeaning{PartNotSigned, "",
		"",
		"Ajoutez un wsu:Timestamp (Created, Expires) à wsse:Security et signez-le."}},
	{TimestampNotSigned, CauseMeaning{PartNotSigned, "",
		"",
		"Ajoutez le Timestamp aux références de la signature."}},
	{VIHFNotCovered, CauseMeaning{PartNotSigned, "",
		"",
		"Ajoutez le VIHF aux références de la signature du message."}},

	{SignatureAlgorithm, CauseMeaning{ForbiddenAlgorithm, "",
		"",
		"Employez rsa-sha256, rsa-sha512 ou ecdsa-sha256 (P-256), celui de la clé du certificat."}},
	{DigestAlgorithm, CauseMeaning{ForbiddenAlgorithm, "",
		"",
		"Employez SHA-256 ou SHA-512 comme condensat."}},
	{Canonicalization, CauseMeaning{ForbiddenAlgorithm, "",
		"",
		"Employez exc-c14n (http://www.w3.org/2001/10/xml-exc-c14n#)."}},
	{Transforms, CauseMeaning{ForbiddenAlgorithm, "",
		"",
		"Ne gardez dans chaque référence que exc-c14n, une fois."}},
	{SignerKey, CauseMeaning{ForbiddenAlgorithm, "",
		"",
		"Demandez un certificat de signature dont la clé est RSA (2048 bits ou plus) ou ECDSA P-256."}},

	{CertificateMissing, CauseMeaning{UntrustedSigner, "",
		"",
		"Joignez le certificat de signature, de préférence en BinarySecurityToken X509v3."}},
	{CertificateAmbiguous, CauseMeaning{UntrustedSigner, "",
		"Le message ne désigne pas son certificat de signature sans équivoque.",
		"Joignez un seul certificat, désigné une seule fois par KeyInfo."}},
	{CertificateUnreadable, CauseMeaning{UntrustedSigner, "",
		"Le certificat joint est illisible.",
		"Joignez le certificat seul, en DER puis base64, sans en-tête PEM."}},
	{SignerExpired, CauseMeaning{UntrustedSigner, "",
		"Le certificat de signature, ou une autorité au-dessus de lui, a expiré.",
		"Installez le certificat de signature renouvelé."}},
	{SignerNotYetValid, CauseMeaning{UntrustedSigner, "",
		"Le certificat de signature, ou une autorité au-dessus de lui, n'est pas encore valable.",
		"Attendez sa date de début, ou signez avec le certificat en cours."}},
	{NotASigningCertificate, CauseMeaning{UntrustedSigner, "",
		"Ce certificat n'est pas fait pour signer.",
		""}},
	{TLSCertificate, CauseMeaning{UntrustedSigner, "",
		"Le message est signé avec un certificat TLS.",
		"C'est votre certificat TLS (authentification) : signez avec le certificat de signature de la structure."}},
	{UnknownAuthority, CauseMeaning{UntrustedSigner, "",
		"L'autorité qui a délivré le certificat de signature n'est pas admise.",
		"Signez avec un certificat de signature IGC-Santé, et joignez les autorités intermédiaires au message."}},
	{WrongCategory, CauseMeaning{UntrustedSigner, "",
		"Le certificat de signature n'est pas de la catégorie attendue.",
		"Employez un certificat logiciel de la structure, de production en production et de test en test."}},
	{SignerRules, CauseMeaning{UntrustedSigner, "",
		"Le certificat de signature, ou une autorité au-dessus de lui, ne respecte pas les règles admises.",
		"Demandez à l'IGC-Santé un certificat de signature de structure."}},
	{NoAuthority, CauseMeaning{UntrustedSigner, ByRPN,
		"Aucune autorité n'est configurée pour cette signature.",
		"Signalez-le à l'exploitant du RPN ROC."}},
	{SignerNoStructure, CauseMeaning{UntrustedSigner, "",
		"Le certificat de signature ne porte pas d'identifiant de structure.",
		"Demandez à l'IGC-Santé un certificat de signature de structure : son OU porte l'identifiant."}},

	{OtherSigner, CauseMeaning{SignerMismatch, "", "", ""}},
	{VIHFOtherSigner, CauseMeaning{SignerMismatch, "",
		"Le VIHF et le message ont deux signataires.",
		"Signez le VIHF et le message avec le certificat de la même structure."}},

	{TimestampMalformed, CauseMeaning{StaleTimestamp, "",
		"Le Timestamp est mal formé.",
		"Écrivez Created puis Expires en UTC, comme 2026-11-21T09:30:00Z."}},
	{TimestampLife, CauseMeaning{StaleTimestamp, "",
		"La durée de vie du Timestamp n'est pas admise.",
		"Mettez Expires cinq minutes après Created, une heure au plus."}},
	{ClockAhead, CauseMeaning{StaleTimestamp, "",
		"Le message est daté dans l'avenir.",
		""}},
	{MessageExpired, CauseMeaning{StaleTimestamp, "",
		"Le message a expiré.",
		""}},
	{TimeZone, CauseMeaning{StaleTimestamp, "",
		"L'horodatage est décalé d'un nombre entier de demi-heures : c'est l'heure d'un fuseau.",
		"Écrivez l'heure en UTC suivie de Z, ou l'heure locale suivie de son décalage (+01:00)."}},
	{VIHFConditions, CauseMeaning{StaleTimestamp, "",
		"Les Conditions du VIHF ne sont pas remplies.",
		"Faites un VIHF par message, avec NotBefore et NotOnOrAfter autour de l'instant de l'envoi."}},

	{SeenBefore, CauseMeaning{Replayed, "", "", ""}},

	{OtherEJ, CauseMeaning{StructureMismatch, "",
		"finess_ej n'est pas celui du certificat.",
		""}},
	{OtherEG, CauseMeaning{StructureMismatch, "",
		"finess_eg n'est pas un site de l'entité juridique.",
		"Vérifiez finess_eg, ou faites ajouter le site au registre par l'ANS."}},
	{OtherCertificate, CauseMeaning{StructureMismatch, "", "", ""}},
	{VIHFStructure, CauseMeaning{StructureMismatch, "",
		"Le VIHF ne désigne pas la structure du certificat.",
		"Identifiant_Structure doit être l'identifiant du certificat (OU)."}},
	{AddressOfAnother, CauseMeaning{StructureMismatch, "",
		"Cette adresse a été donnée à un autre établissement.",
		"Interrogez l'annuaire avec le certificat de l'établissement qui envoie."}},

	{FieldMissing, CauseMeaning{BadKey, "",
		"Un champ d'adressage manque.",
		""}},
	{FieldTwice, CauseMeaning{BadKey, "",
		"",
		"Ne donnez ce champ qu'une fois."}},
	{FieldMisplaced, CauseMeaning{BadKey, "",
		"",
		"Suivez l'ordre et les noms du schéma, sans espace de noms, sans attribut et sans autre élément."}},
	{FieldMalformed, CauseMeaning{BadKey, "",
		"Un champ d'adressage est mal formé.",
		""}},
	{FacadeAddress, CauseMeaning{BadKey, "",
		"Cette adresse n'est pas, ou n'est plus, une adresse donnée par le RPN ROC pour ce message.",
		"Interrogez de nouveau l'annuaire et envoyez à l'adresse qu'il donne, ou envoyez à /roc."}},
}
