package controltest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaDir is seen from a package directly below internal.
const schemaDir = "../../docs/reference/schemas"

// Schemas compiles the published schemas, closed: a member that is not documented is an error here, and none for those who read the answers.
func Schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob(schemaDir + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if id := doc.(map[string]any)["$id"]; id != filepath.Base(path) {
			t.Errorf("%s calls itself %v", path, id)
		}
		closeObjects(doc)
		if err := compiler.AddResource(filepath.Base(path), doc); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]*jsonschema.Schema{}
	for _, path := range files {
		compiled, err := compiler.Compile(filepath.Base(path))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		name, _ := strings.CutSuffix(filepath.Base(path), ".v1.json")
		out["graced."+name+"/v1"] = compiled
	}
	return out
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			closeObjects(member)
		}
		if _, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
	case []any:
		for _, e := range v {
			closeObjects(e)
		}
	}
}

// Validate checks a document against the schema that it names, and returns that name.
func Validate(t *testing.T, known map[string]*jsonschema.Schema, text string) (string, any) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("no JSON: %v\n%s", err, text)
	}
	name, _ := doc.(map[string]any)["schema"].(string)
	if known[name] == nil {
		t.Fatalf("schema %q is not published:\n%s", name, text)
	}
	if !strings.HasPrefix(strings.Join(strings.Fields(text), ""), `{"schema":`) {
		t.Errorf("the schema does not come first:\n%s", text)
	}
	if err := known[name].Validate(doc); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	return name, doc
}
