// Package strict reads the YAML files that people write: the configuration, the
// register, the AMC list. It guesses nothing and repairs nothing; it reports
// everything that is wrong at once, each thing with its position, its line, the
// nearest known name and what to do:
//
//	etablissements.yaml:14:11: etablissements[3].etat: "cerlce" is not a state: accrochage, surveillance, cercle, suspendu or clos (did you mean "cercle"?)
//	   14 |     etat: cerlce
//	      |           ^
//
// A small use:
//
//	type Config struct {
//		Listen  string        `yaml:"listen" strict:"required"`
//		Timeout time.Duration `yaml:"timeout" strict:"positive"`
//		Mode    Mode          `yaml:"mode"`
//	}
//
//	cfg := Config{Timeout: 20 * time.Second} // defaults: what the file leaves out stays
//	doc := strict.Read("rpn.yaml", data, &cfg,
//		strict.OneOf("a mode", Observe, Enforce),
//		strict.Text(roc.ParseStructureID, "1010003812"))
//	if cfg.Listen == cfg.Admin {
//		doc.Refuse(doc.At("admin"), "give each listener its own address", "%s is already the address of listen", cfg.Admin)
//	}
//	return doc.Err()
//
// What a struct may hold: string, bool, int and float kinds, [time.Duration],
// [Size], any type with UnmarshalText, any type given by [Text] or [OneOf],
// and structs, pointers, slices and maps (of text keys) of those. A field is
// read only when it has a yaml tag; `yaml:",inline"` reads the fields of a
// nested struct in its place. A named type that nothing parses is a mistake
// of the program, and an error whatever the file says.
//
// Tags: `strict:"required"` refuses a file without the field or with an empty
// text, `strict:"required,unless=other"` one with neither that field nor the
// other; `strict:"positive"` refuses numbers, durations and sizes that are not
// above zero. Durations and sizes are never negative.
//
// A field of a text type takes the scalar's source text: the unquoted
// 010000001 stays "010000001", where YAML would see a number. Anchors,
// aliases, merge keys, tags, a second document, a key given twice and a key
// without a value are refused.
package strict
