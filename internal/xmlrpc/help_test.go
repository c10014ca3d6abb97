package xmlrpc

import (
	"reflect"
	"strings"
	"testing"
)

// TestHelp checks the shape of every text of methodHelp, out of which clients cut the signature: a line for each parameter, then one for
// the result, and that methodSignature says the same.
func TestHelp(t *testing.T) {
	h, _ := serve(t)
	for name, m := range h.methods {
		v, err := do(t, h, "system.methodHelp", name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var types []any
		var result string
		for _, line := range strings.Split(v.(string), "\n") {
			words := strings.Fields(line)
			switch {
			case len(words) < 4 || words[0] != "@param" && words[0] != "@return":
				continue
			case words[0] == "@return":
				result = words[1]
				continue
			}
			types = append(types, words[1])
			if p := m.Params[len(types)-1]; words[2] != p.Name {
				t.Errorf("%s: parameter %s is called %s", name, p.Name, words[2])
			}
		}
		if len(types) != len(m.Params) {
			t.Errorf("%s: %d of %d parameters in\n%s", name, len(types), len(m.Params), v)
		}
		signature, err := do(t, h, "system.methodSignature", name)
		if result == "" {
			if faultText(err) != "4 SIGNATURE_UNSUPPORTED" {
				t.Errorf("%s: a signature without a result: %v, %v", name, signature, err)
			}
			continue
		}
		if want := append([]any{result}, types...); err != nil || !reflect.DeepEqual(signature, want) {
			t.Errorf("%s: signature %v, %v; the help says %v", name, signature, err, want)
		}
	}
	// Its documentation is wrong about this one, and clients may have read it (quirk D21).
	if s, err := do(t, h, "system.methodSignature", "twiddler.getAPIVersion"); err != nil || !reflect.DeepEqual(s, []any{"int"}) {
		t.Errorf("twiddler.getAPIVersion: %v, %v", s, err)
	}
}
