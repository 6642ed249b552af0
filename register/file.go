package register

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
)

// maxFile is the largest file read, in bytes: ten times what the whole country
// needs.
const maxFile = 64 << 20

// etablissementsFile is the shape of etablissements.yaml.
type etablissementsFile struct {
	Etablissements []Etablissement `yaml:"etablissements" strict:"required"`
}

// amcFile is the shape of amc.yaml.
type amcFile struct {
	AMCs []AMC `yaml:"amcs" strict:"required"`
}

// Load reads and checks the two files of the register, and returns the list as
// it is at that instant. An error about their content is a [strict.Errors] with
// everything that is wrong in both.
func Load(etablissementsPath, amcPath string, at time.Time) (*List, error) {
	es, err := readFile(etablissementsPath)
	if err != nil {
		return nil, fmt.Errorf("the list of establishments: %w", err)
	}
	amcs, err := readFile(amcPath)
	if err != nil {
		return nil, fmt.Errorf("the list of AMCs: %w", err)
	}
	return Parse(etablissementsPath, es, amcPath, amcs, at)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has more than %d MiB: this is no register", path, maxFile>>20)
	}
	return data, nil
}

// Parse reads the two files of the register from memory, like Load; the names
// are for the errors.
func Parse(esName string, es []byte, amcName string, amcs []byte, at time.Time) (*List, error) {
	var ef etablissementsFile
	var af amcFile
	options := textTypes()
	l := &List{digest: digest(es, amcs), sums: [2][32]byte{sha256.Sum256(es), sha256.Sum256(amcs)}}

	amcDoc := strict.Read(amcName, amcs, &af, options...)
	l.amcs = af.AMCs
	checkAMCs(l, amcDoc)

	esDoc := strict.Read(esName, es, &ef, options...)
	l.etablissements = ef.Etablissements
	checkEtablissements(l, esDoc, amcDoc.Readable())
	if esDoc.Readable() {
		checkEssais(l, amcDoc)
		checkOwners(l, amcDoc)
	}

	if err := joined(esDoc.Err(), amcDoc.Err()); err != nil {
		return nil, err
	}
	l.resolve(at)
	return l, nil
}

// LoadAMCs reads and checks the list of AMCs alone: a List without an
// establishment.
func LoadAMCs(path string, at time.Time) (*List, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("the list of AMCs: %w", err)
	}
	return ParseAMCs(path, data, at)
}

// ParseAMCs is LoadAMCs of what was read already; the name is for the errors.
func ParseAMCs(path string, data []byte, at time.Time) (*List, error) {
	var af amcFile
	doc := strict.Read(path, data, &af, textTypes()...)
	l := &List{amcs: af.AMCs, digest: digest(nil, data)}
	checkAMCs(l, doc)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	l.resolve(at)
	return l, nil
}

// ReadAMCs reads the rows of a list of AMCs alone, in their order, and tells at
// which line, from 1, each begins. The dates are not settled.
func ReadAMCs(name string, data []byte) (rows []AMC, lines []int, err error) {
	var f amcFile
	doc := strict.Read(name, data, &f, textTypes()...)
	l := &List{amcs: f.AMCs}
	checkAMCs(l, doc)
	if err := doc.Err(); err != nil {
		return nil, nil, err
	}
	for i := range l.amcs {
		lines = append(lines, doc.At("amcs", i).Line())
	}
	return l.amcs, lines, nil
}

// ReadEtablissements reads the rows of a list of establishments alone, in their
// order, without the rules that need the list of AMCs, and tells at which line,
// from 1, each begins. The dates are not settled.
func ReadEtablissements(name string, data []byte) (rows []Etablissement, lines []int, err error) {
	var f etablissementsFile
	doc := strict.Read(name, data, &f, textTypes()...)
	l := &List{etablissements: f.Etablissements}
	checkEtablissements(l, doc, false)
	if err := doc.Err(); err != nil {
		return nil, nil, err
	}
	for i := range l.etablissements {
		lines = append(lines, doc.At("etablissements", i).Line())
	}
	return l.etablissements, lines, nil
}

// textTypes tells how the words of the register are written.
func textTypes() []strict.Option {
	return []strict.Option{
		strict.Text(roc.ParseFINESS, "010003812"),
		strict.Text(roc.ParseStructureID, `"1010003812"`),
		strict.Text(roc.ParseNumeroAMC, "0075500017"),
		strict.Text(roc.ParseVersion, "V1"),
		strict.Text(ParseDNSName, "roc.amc.example"),
		strict.Text(ParseMoment, "2026-11-01"),
		strict.Text(parseEssai, "010003812"),
		strict.Short[Mandat]("structure"),
		strict.Short[Domaine]("nom"),
		strict.OneOf("a state", etats...),
		strict.OneOf("a mode", LimitModes...),
		strict.OneOf("a façade", Transparente, Reecriture),
		strict.OneOf("a state of an AMC", etatsAMC...),
	}
}

// joined puts the errors of two files in one list.
func joined(a, b error) error {
	var x, y strict.Errors
	if errors.As(a, &x) && errors.As(b, &y) {
		return append(x[:len(x):len(x)], y...)
	}
	return errors.Join(a, b)
}

func digest(es, amcs []byte) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", len(es))
	h.Write(es)
	h.Write(amcs)
	return [32]byte(h.Sum(nil))
}
