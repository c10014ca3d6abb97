package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSampleNamesEveryOption reads the sample that echo_supervisord_conf prints with all its options in force: none is unknown, and none of
// those that we know is missing.
func TestSampleNamesEveryOption(t *testing.T) {
	raw, err := os.ReadFile("../../cmd/graced/sample.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^;(\[[a-z]|[a-z_]+=)`).ReplaceAllString(string(raw), "$1")
	text = strings.NewReplacer("programs=name,other", "programs=name", "nobody:nogroup", "root:root", "user=nobody", "user=root").Replace(text)
	c, err := Load(fakeMachine(map[string]string{"/s.conf": text + "[program:db]\ncommand=/bin/db\n"}), "/s.conf", nil) // on which its programs depend
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.Warnings {
		if w.Code == UnknownKey || w.Code == UnknownSection {
			t.Error(w)
		}
	}
	inSample := map[string][]string{}
	section := ""
	for _, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = name[:strings.IndexByte(name, ']')]
		} else if key, _, ok := strings.Cut(line, "="); ok && line[0] != ';' {
			inSample[section] = append(inSample[section], key)
		}
	}
	for _, kind := range knownSections {
		found := false
		for name, keys := range inSample {
			if !kind.covers(name) {
				continue
			}
			found = true
			for _, key := range kind.keys {
				// A FastCGI program has a program's options besides its own.
				if !slices.Contains(keys, key) && !(kind.name == "fcgi-program:" && slices.Contains(optionNames("program"), key)) {
					t.Errorf("the sample does not name %s of [%s]", key, name)
				}
			}
		}
		if !found && kind.name != "ctlplugin:" { // for Python's plugins; ours need no section
			t.Errorf("the sample has no section [%s...]", kind.name)
		}
	}
}
