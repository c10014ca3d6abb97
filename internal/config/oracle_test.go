package config

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var seed = flag.Int64("seed", 0, "seed of the random tests; 0 = from the clock")

// newRand returns a source whose seed is in the test's log.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = time.Now().UnixNano()
	}
	t.Logf("seed %d", s)
	return rand.New(rand.NewSource(s))
}

// recorded calls f with every line of a recorded table of Python's answers.
func recorded[T any](t *testing.T, name string, f func(T)) int {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var r io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	n := 0
	for ; lines.Scan(); n++ {
		var answer T
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			t.Fatalf("%s:%d: %v", name, n+1, err)
		}
		f(answer)
	}
	if lines.Err() != nil || n == 0 {
		t.Fatalf("%s: %d lines, %v", name, n, lines.Err())
	}
	return n
}

// ask runs a script of testdata with questions as JSON lines on its standard input and returns its answers. It skips the test, saying
// what that hides, if there is no such Python.
func ask[Q, A any](t *testing.T, hidden, python, script string, questions []Q) []A {
	t.Helper()
	path, err := exec.LookPath(python)
	if err != nil {
		t.Skipf("hidden: %s, because %s is not installed", hidden, python)
	}
	// Error texts and corners of configparser changed in other releases; Supervisor's reference machine has 3.11.
	version, err := exec.Command(path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").Output()
	if v := strings.TrimSpace(string(version)); err != nil || v != "3.10" && v != "3.11" && v != "3.12" {
		t.Skipf("hidden: %s, because %s is Python %q, not 3.10 to 3.12 (%v)", hidden, path, v, err)
	}
	var in bytes.Buffer
	for _, q := range questions {
		line, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd := exec.Command(path, "testdata/"+script)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "PYTHONUTF8=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot run %s: %v", script, err)
	}
	var answers []A
	for line := range bytes.Lines(out) {
		var a A
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatalf("%s: %v: %s", script, err, line)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(questions) {
		t.Fatalf("%s gave %d answers to %d questions", script, len(answers), len(questions))
	}
	return answers
}

// unmarshalTuple reads a JSON array into one variable per element.
func unmarshalTuple(b []byte, into ...any) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	for i := range min(len(raw), len(into)) {
		if err := json.Unmarshal(raw[i], into[i]); err != nil {
			return err
		}
	}
	return nil
}

// haveSupervisor reports whether Debian's supervisor package is installed.
func haveSupervisor() bool {
	return exec.Command("/usr/bin/python3", "-c", "import supervisor.options").Run() == nil
}
