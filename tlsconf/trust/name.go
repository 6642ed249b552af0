package trust

import (
	"encoding/asn1"
	"slices"
	"strings"
	"unicode/utf16"
)

// SameName says whether two distinguished names, in DER, are one (RFC 5280
// 7.1): attribute by attribute in their order, the values of a set in any order,
// text whatever its type (PrintableString, UTF8String...), its case and its
// white space. The bytes differ more often than one thinks: a CA writes its own
// name in one type, and that of the issuer in another.
//
// A name proves nothing, a signature does: what this takes too wide costs one
// signature checked for nothing.
func SameName(a, b []byte) bool { return string(a) == string(b) || NameKey(a) == NameKey(b) }

// NameKey is a name in the form under which names compare; a name that cannot
// be read is its own bytes.
func NameKey(der []byte) string {
	var name, set asn1.RawValue
	rest, err := asn1.Unmarshal(der, &name)
	if err != nil || len(rest) > 0 || name.Tag != asn1.TagSequence || !name.IsCompound {
		return string(der)
	}
	var key strings.Builder
	for rest = name.Bytes; len(rest) > 0; {
		if rest, err = asn1.Unmarshal(rest, &set); err != nil || set.Tag != asn1.TagSet || !set.IsCompound {
			return string(der)
		}
		values, ok := attributesOf(set.Bytes)
		if !ok {
			return string(der)
		}
		slices.Sort(values)
		for _, v := range values {
			writePart(&key, v)
		}
		key.WriteByte('/')
	}
	return key.String()
}

// attributesOf returns the attributes of a set, each type with its value.
func attributesOf(set []byte) (all []string, ok bool) {
	for len(set) > 0 {
		var pair, kind, value asn1.RawValue
		var err error
		if set, err = asn1.Unmarshal(set, &pair); err != nil || pair.Tag != asn1.TagSequence {
			return nil, false
		}
		inner, err := asn1.Unmarshal(pair.Bytes, &kind)
		if err != nil || kind.Tag != asn1.TagOID {
			return nil, false
		}
		if inner, err = asn1.Unmarshal(inner, &value); err != nil || len(inner) > 0 {
			return nil, false
		}
		var one strings.Builder
		writePart(&one, string(kind.Bytes))
		if text, ok := textOf(value); ok {
			writePart(&one, "t"+strings.ToLower(strings.Join(strings.Fields(text), " ")))
		} else {
			writePart(&one, "v"+string(value.FullBytes))
		}
		all = append(all, one.String())
	}
	return all, len(all) > 0
}

// writePart writes a part so that no two lists of parts read the same.
func writePart(to *strings.Builder, part string) {
	n := len(part)
	to.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	to.WriteString(part)
}

const (
	tagUniversalString = 28
	tagVisibleString   = 26
)

// textOf decodes the string types of a name.
func textOf(v asn1.RawValue) (string, bool) {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", false
	}
	switch v.Tag {
	case asn1.TagPrintableString, asn1.TagUTF8String, asn1.TagIA5String, asn1.TagNumericString, tagVisibleString:
		return string(v.Bytes), true
	case asn1.TagT61String: // Latin-1, as everybody reads it
		runes := make([]rune, len(v.Bytes))
		for i, b := range v.Bytes {
			runes[i] = rune(b)
		}
		return string(runes), true
	case asn1.TagBMPString:
		if len(v.Bytes)%2 != 0 {
			return "", false
		}
		units := make([]uint16, 0, len(v.Bytes)/2)
		for i := 0; i < len(v.Bytes); i += 2 {
			units = append(units, uint16(v.Bytes[i])<<8|uint16(v.Bytes[i+1]))
		}
		return string(utf16.Decode(units)), true
	case tagUniversalString:
		if len(v.Bytes)%4 != 0 {
			return "", false
		}
		runes := make([]rune, 0, len(v.Bytes)/4)
		for i := 0; i < len(v.Bytes); i += 4 {
			runes = append(runes, rune(v.Bytes[i])<<24|rune(v.Bytes[i+1])<<16|rune(v.Bytes[i+2])<<8|rune(v.Bytes[i+3]))
		}
		return string(runes), true
	}
	return "", false
}
