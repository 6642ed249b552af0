package soap

import (
	"bytes"

	"github.com/piano-roc/rpn/internal/roc"
)

// A problem is one thing the scan refuses, said in English for our log and in
// French for the caller. Neither quotes the message: the position is enough.
// Its cause is one of a reason: roc.TooLarge, roc.NotSOAP or roc.ForbiddenXML.
type problem struct {
	cause  roc.CauseCode
	en, fr string
}

var (
	tooDeep         = problem{roc.TooManyParts, "elements nested too deep", "trop d'éléments imbriqués"}
	tooManyElements = problem{roc.TooManyParts, "too many elements", "trop d'éléments"}
	tooManyAttrs    = problem{roc.TooManyParts, "too many attributes on one element", "trop d'attributs sur un élément"}
	tooManyDecls    = problem{roc.TooManyParts, "too many namespace declarations on one element", "trop de déclarations d'espaces de noms sur un élément"}
	tooManyEntries  = problem{roc.TooManyParts, "too many prefixes, namespace declarations, attributes, Ids or comments in the message", "trop de préfixes, de déclarations d'espaces de noms, d'attributs, d'Ids ou de commentaires dans le message"}
	longName        = problem{roc.TooManyParts, "name too long", "un nom est trop long"}

	emptyMessage   = problem{roc.EmptyMessage, "empty message", "le message est vide"}
	badEncoding    = problem{roc.OtherEncoding, "encoding other than UTF-8", "un autre codage que UTF-8"}
	badUTF8        = problem{roc.OtherEncoding, "invalid UTF-8", "des octets qui ne sont pas de l'UTF-8"}
	badChar        = problem{roc.MalformedXML, "character not allowed in XML", "un caractère interdit en XML"}
	badDeclaration = problem{roc.MalformedXML, "malformed XML declaration", "une déclaration XML mal formée"}
	hasDTD         = problem{roc.HasDoctype, "DTD", "une DTD (DOCTYPE)"}
	hasPI          = problem{roc.HasInstruction, "processing instruction", "une instruction de traitement"}
	badEntity      = problem{roc.HasEntity, "entity other than the five predefined", "une entité autre que les cinq prédéfinies, ou un « & » seul"}
	badMarkup      = problem{roc.MalformedXML, "malformed markup", "un balisage mal formé"}
	badName        = problem{roc.MalformedXML, "malformed name", "un nom mal formé"}
	badAttribute   = problem{roc.MalformedXML, "malformed attribute", "un attribut mal formé"}
	twiceAttribute = problem{roc.MalformedXML, "attribute given twice", "un attribut donné deux fois"}
	badNamespace   = problem{roc.BadNamespace, "forbidden namespace declaration", "une déclaration d'espace de noms interdite"}
	relativeURI    = problem{roc.BadNamespace, "relative namespace URI", "un espace de noms dont l'URI est relative"}
	badURI         = problem{roc.BadNamespace, "malformed namespace URI", "un espace de noms dont l'URI contient un caractère interdit"}
	unboundPrefix  = problem{roc.BadNamespace, "undeclared prefix", "un préfixe non déclaré"}
	badComment     = problem{roc.MalformedXML, "malformed comment", "un commentaire mal formé"}
	badCDATA       = problem{roc.MalformedXML, "malformed CDATA section", "une section CDATA mal formée"}
	cdataEnd       = problem{roc.MalformedXML, "]]> in text", "la suite « ]]> » dans un texte"}
	badNesting     = problem{roc.MalformedXML, "end tag does not match", "une balise fermante qui ne correspond pas"}
	unclosed       = problem{roc.MessageTruncated, "message ends too early", "le message s'arrête avant la fin"}
	trailing       = problem{roc.MalformedXML, "content outside the root element", "du contenu hors de l'élément racine"}
	splitText      = problem{roc.CommentInText, "comment inside a text of the Body", "un commentaire au milieu d'un texte du Body"}

	notEnvelope   = problem{roc.NotAnEnvelope, "root is not a SOAP Envelope", "la racine n'est pas une Envelope SOAP 1.1 ou 1.2"}
	misplaced     = problem{roc.NotAnEnvelope, "element out of place in the Envelope", "un élément qui n'a pas sa place dans l'Envelope"}
	misplacedText = problem{roc.NotAnEnvelope, "text out of place in the Envelope", "du texte à la place de Header ou de Body"}
	twoBodies     = problem{roc.NotAnEnvelope, "more than one Body", "plus d'un Body"}
	twoHeaders    = problem{roc.NotAnEnvelope, "more than one Header", "plus d'un Header"}
	noBody        = problem{roc.NotAnEnvelope, "no Body", "pas de Body"}
	bodyChildren  = problem{roc.NotAnEnvelope, "Body without exactly one child", "un Body qui n'a pas exactement un élément"}
	afterBody     = problem{roc.NotAnEnvelope, "content after the Body", "du contenu après le Body"}
)

// at makes the refusal of a problem found at an offset of the message.
func (p problem) at(raw []byte, off int) *roc.Refusal {
	off = min(max(off, 0), len(raw))
	line := bytes.Count(raw[:off], []byte{'\n'}) + 1
	column := off - bytes.LastIndexByte(raw[:off], '\n')
	return roc.Refuse(p.cause.Meaning().Reason, "%s (byte %d, line %d)", p.en, off, line).Because(p.cause).
		Saying("À la ligne %d, colonne %d : %s.", line, column, p.fr)
}
