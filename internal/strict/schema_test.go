package strict_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/nation"
)

// The schema of the configuration accepts what is read, and refuses what a schema
// can tell to be wrong: names, words, kinds, what is missing.
func TestTheSchemaOfTheConfiguration(t *testing.T) {
	t.Parallel()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("rpn.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("rpn.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(file string) error {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(data, &v); err != nil {
			return err
		}
		asJSON, err := json.Marshal(v)
		if err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	demo, err := nation.New(nation.Options{Dir: t.TempDir(), WithoutRPN: true, Portal: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { demo.Close() })
	for _, file := range []string{demo.ConfigFile(), "../../app/config/testdata/smallest.yaml"} {
		if err := validate(file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	files, err := filepath.Glob("../../app/config/testdata/invalid-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, file := range files {
		golden, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".golden")
		if err != nil {
			t.Fatal(err)
		}
		err = validate(file)
		if err != nil {
			refused++
		}
		for _, structural := range []string{"unknown field", ": the field ", "is not a duration", "has no unit", " is not an environment", "is not a policy", "is not a level"} {
			if err == nil && bytes.Contains(golden, []byte(structural)) {
				t.Errorf("%s: the schema accepts it; rpn check says\n%s", file, golden)
			}
		}
	}
	if refused < 15 {
		t.Errorf("only %d of %d broken files are refused", refused, len(files))
	}
	t.Logf("%d of %d broken files are refused by the schema alone", refused, len(files))
}
