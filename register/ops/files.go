package ops

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/register"
)

// The names of the two files of a register, in a folder.
const (
	EtablissementsYAML = "etablissements.yaml"
	AMCYAML            = "amc.yaml"
)

// A Pair is the two files of a register.
type Pair struct{ Etablissements, AMC string }

// In returns the pair of a folder.
func In(dir string) Pair {
	return Pair{filepath.Join(dir, EtablissementsYAML), filepath.Join(dir, AMCYAML)}
}

// Load reads the pair as it is at that instant.
func (p Pair) Load(at time.Time) (*register.List, error) {
	return register.Load(p.Etablissements, p.AMC, at)
}

// Complete fills what a pair lacks from another one.
func (p Pair) Complete(from Pair) Pair {
	if p.Etablissements == "" {
		p.Etablissements = from.Etablissements
	}
	if p.AMC == "" {
		p.AMC = from.AMC
	}
	return p
}

// PairOf finds the pair that a path names: a folder that holds both files, or
// one of the two, which leaves the other empty. ok is false for a file that is
// neither: perhaps a configuration.
func PairOf(path string) (p Pair, ok bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return p, false, err
	}
	if info.IsDir() {
		return In(path), true, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return p, false, err
	}
	names := topNames(data)
	switch {
	case names["listen"] || names["environment"]:
		return p, false, nil
	case names["etablissements"]:
		return Pair{Etablissements: path}, true, nil
	case names["amcs"]:
		return Pair{AMC: path}, true, nil
	}
	return p, false, fmt.Errorf("%s is neither a list of establishments, nor a list of AMCs, nor a configuration: its first lines hold none of `etablissements:`, `amcs:` and `listen:`", path)
}

// topNames are the names at the margin of a YAML file.
func topNames(data []byte) map[string]bool {
	names := map[string]bool{}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		name, _, ok := strings.Cut(s.Text(), ":")
		if ok && name != "" && !strings.ContainsAny(name, " \t#\"'{[-") {
			names[strings.TrimPrefix(name, "\ufeff")] = true
		}
	}
	return names
}
