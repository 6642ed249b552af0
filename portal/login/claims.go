package login

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
)

// A StructureClaim says which claim holds an identifier of a structure, and of
// which sort.
type StructureClaim struct {
	Claim string // names from the outermost, between dots; every element of a list is looked at
	Holds string // finess, siret, siren, or structure for a Struct_IdNat
}

// An OperatorClaim says which value of a claim makes which operator.
type OperatorClaim struct {
	Name         string
	Claim, Value string
	Role         access.Role
}

// Ref names the claim and the value, for access.Identity.
func (o OperatorClaim) Ref() string { return o.Claim + "\n" + o.Value }

// claims are what the provider says of a person.
type claims map[string]any

// The bounds of what is read of claims.
const (
	maxValues = 256
	maxDepth  = 8
)

// values are the texts that stand at a path. A value of another kind than text is
// none: a number has lost its zeros.
func (c claims) values(path string) (list []string) {
	var look func(v any, names []string)
	look = func(v any, names []string) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				if _, nested := e.([]any); !nested {
					look(e, names)
				}
			}
		case map[string]any:
			if len(names) > 0 {
				look(v[names[0]], names[1:])
			}
		case string:
			if len(names) == 0 && v != "" && len(list) < maxValues {
				list = append(list, v)
			}
		}
	}
	look(map[string]any(c), strings.SplitN(path, ".", maxDepth))
	return list
}

func (c claims) has(path, value string) bool {
	return slices.Contains(c.values(path), value)
}

// read are the structures that the claim names. What is no identifier of its sort is
// none.
func (s StructureClaim) read(c claims) (list []roc.StructureID) {
	prefix := map[string]string{"finess": "1", "siren": "2", "siret": "3", "structure": ""}
	p, known := prefix[s.Holds]
	if !known {
		return nil
	}
	for _, v := range c.values(s.Claim) {
		if id, err := roc.ParseStructureID(p + v); err == nil {
			list = append(list, id)
		}
	}
	return list
}

// merge adds the claims of a JSON object: what is there already stays.
func (c claims) merge(object []byte) error {
	var more map[string]any
	if err := json.Unmarshal(object, &more); err != nil {
		return err
	}
	for name, v := range more {
		if _, there := c[name]; !there {
			c[name] = v
		}
	}
	return nil
}
