package ctl

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/graced/graced/internal/control"
)

// TestCompleteWords checks what each place of a command line can become.
func TestCompleteWords(t *testing.T) {
	for line, want := range map[string]string{
		"grace|": "grace_update", "-o |": "json jsonl yaml name plain", "--output=y|": "--output=yaml", "--o|": "--output", "-c |": FileCandidates, "-c x stop so|": "solo",
		"stop web:|": "web:web_0 web:* web:web_1", "stop web:web_0 a|": "all", "add w|": "web", "signal |": "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP", "signal HUP so|": "solo",
		"tail -f so|": "solo", "tail solo std|": "stdout stderr", "tail --|": "--output --timeout", "tail -f|": "-f", "status --state FATAL,R|": "FATAL,RUNNING", "status --s|": "--state",
		"start --parallel |": "", "start --parallel 2 so|": "solo", "help why|": "why", "wait --ready so|": "solo", "completion f|": "fish", "scale so|": "solo=", "nope |": "", "--nope=|": "", "version |": "",
	} {
		f := newFixture(t, Gracectl)
		text := strings.TrimSuffix(line, "|")
		words := append(strings.Fields(text[:strings.LastIndexByte(text, ' ')+1]), text[strings.LastIndexByte(text, ' ')+1:])
		got := f.CompleteWords(words, func() []control.ProcessInfo { t.Error("asked the file"); return nil })
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
		if _, inShell, _ := f.CompleteLine(text, len(text)); want != FileCandidates && strings.Join(strings.Fields(strings.Join(inShell, " ")), " ") != want {
			t.Errorf("%q in the shell: %q", line, inShell)
		}
	}
}

// TestCompleteWithoutDaemon checks that a daemon which does not answer is waited for 150 ms, and that the file's names come then.
func TestCompleteWithoutDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Gracectl)
		f.Dial = func(string, string, string) (Proxy, error) { return silent{f.d}, nil }
		got := f.CompleteWords([]string{"stop", ""}, func() []control.ProcessInfo { return []control.ProcessInfo{{Group: "filed", Name: "filed"}} })
		if !slices.Equal(got, []string{"filed", "all"}) {
			t.Errorf("%q", got)
		}
	})
}

// silent is a daemon that takes the question and never answers.
type silent struct{ *daemon }

func (silent) Processes(ctx context.Context) ([]control.ProcessInfo, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		f := newFixture(t, Gracectl)
		if exit := f.Run(context.Background(), []string{"completion", shell}); exit != 0 || !strings.Contains(f.out.String(), CompleteVerb) {
			t.Errorf("%s: exit %d", shell, exit)
		}
	}
	f := newFixture(t, Gracectl)
	if exit := f.Run(context.Background(), []string{"completion", "csh"}); exit != 2 || f.err.String() != "error[E312]: completion: takes the name of a shell: bash, fish, zsh\n" {
		t.Errorf("exit %d, %s", exit, f.err)
	}
	f = newFixture(t, Supervisorctl)
	if f.Run(context.Background(), []string{"completion", "bash"}); f.out.String() != "*** Unknown syntax: completion bash\n" {
		t.Errorf("as supervisorctl: %s", f.out)
	}
}
