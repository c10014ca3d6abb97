package ctl

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/control"
)

// TestComplete checks the candidates for the word at the cursor, "|" in the line (contract: ctl, "Interactive shell").
func TestComplete(t *testing.T) {
	names := Names{
		Verbs: []string{"help", "start", "status", "stop", "tail"},
		Processes: []control.ProcessInfo{
			{Group: "cat", Name: "cat"}, {Group: "foo", Name: "foo_0"}, {Group: "foo", Name: "foo_1"}, {Group: "my-app", Name: "my-app"},
		},
	}
	tests := []struct {
		line string // the cursor is at "|"
		want string // candidates, separated by commas
		head string
	}{
		{"|", "help ,start ,status ,stop ,tail ", ""},
		{"st|", "start ,status ,stop ", ""},
		{"  sto|", "stop ", "  "},
		{"x|", "", ""},
		{"help st|", "start ,status ,stop ", "help "},
		{"start |", "cat ,foo:foo_0 ,foo:* ,foo:foo_1 ,my-app ", "start "},
		{"start my-|", "my-app ", "start "},
		{"start foo:|", "foo:foo_0 ,foo:* ,foo:foo_1 ", "start "},
		{"start foo:*|", "foo:* ", "start "},
		{"start cat:|", "cat:cat ,cat:* ", "start "},
		{"start foo:foo_0 c|", "cat ", "start foo:foo_0 "},
		{"tail -f c|", "cat ", "tail -f "},
		{"signal HUP foo:foo_1|", "foo:foo_1 ", "signal HUP "},
		{"update |", "cat ,foo ,my-app ", "update "},
		{"add f|", "foo ", "add "},
		{"remove c|", "cat ", "remove "},
		{"grace_update f|", "foo ", "grace_update "},
		{"version |", "", "version "},
		{"nope c|", "", "nope "},
		{"start c| foo:*", "cat ", "start "},
	}
	for _, tt := range tests {
		before, after, _ := strings.Cut(tt.line, "|")
		head, got, tail := Complete(before+after, len(before), names)
		if strings.Join(got, ",") != tt.want || head != tt.head || tail != after {
			t.Errorf("%q: head %q, %q, tail %q; want head %q, %q", tt.line, head, got, tail, tt.head, tt.want)
		}
	}
	for _, pos := range []int{-1, 99} { // an editor that miscounts must not crash the shell
		if head, got, tail := Complete("st", pos, names); head+tail+strings.Join(got, "") == "" {
			t.Errorf("position %d: nothing at all", pos)
		}
	}
}

// TestCompleteAsksOnce checks that the daemon is asked once between two commands, and not for verbs.
func TestCompleteAsksOnce(t *testing.T) {
	f := newFixture(t, Supervisorctl)
	asked := func() int {
		n := 0
		for _, c := range f.d.calls {
			if c == "Processes" {
				n++
			}
		}
		return n
	}
	if _, got, _ := f.CompleteLine("sta", 3); !reflect.DeepEqual(got, []string{"start ", "status "}) || asked() != 0 {
		t.Errorf("verbs: %q, daemon asked %d times", got, asked())
	}
	for range 3 {
		if _, got, _ := f.CompleteLine("start so", 8); !reflect.DeepEqual(got, []string{"solo "}) {
			t.Errorf("processes: %q", got)
		}
	}
	if asked() != 1 {
		t.Errorf("daemon asked %d times, want 1", asked())
	}
	f.Run(context.Background(), []string{"version"})
	f.CompleteLine("start so", 8)
	if asked() != 2 {
		t.Errorf("daemon asked %d times after a command, want 2", asked())
	}
	f.d.errs["Processes"] = connectionError(2)
	f.Run(context.Background(), []string{"version"})
	if _, got, _ := f.CompleteLine("start so", 8); len(got) != 0 {
		t.Errorf("without a daemon: %q", got)
	}
}

// TestVerbsAreComplete checks that completion and help know every verb that runs, and no other.
func TestVerbsAreComplete(t *testing.T) {
	s := &Session{Face: Gracectl}
	verbs := s.verbs()
	if len(verbs) != 42 || !slices.IsSorted(verbs) {
		t.Errorf("%d verbs: %q", len(verbs), verbs)
	}
	for _, v := range verbs {
		if s.lookup(v) == nil && answered[v] == nil {
			t.Errorf("%q cannot be run", v)
		}
		if v != "help" && s.topic(v) == "" {
			t.Errorf("%q has no help", v)
		}
	}
}
