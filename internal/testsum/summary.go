package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output
	Test        string
	Output      string
	Elapsed     float64 // seconds
	FailedBuild string
}

// skip is one skipped test.
type skip struct{ pkg, test, reason string }

// summary is what a run came to.
type summary struct {
	passed, failed int // tests, subtests included
	skips          []skip
	packages       map[string]bool // finished, with tests; one may come twice
	failedPackages []string
	unfinished     []string // packages that started and never ended: the stream was cut off
	reasons        []string // of failures: the end of a long output is what is read first, and often all that is kept
}

// because notes the first lines of an output by which a failure may be known.
func (s *summary) because(what, text string, of func(line string) bool) {
	const most, width = 6, 400
	s.reasons = append(s.reasons, what)
	n := 0
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); !of(line) {
			continue
		}
		if n++; n > most {
			s.reasons = append(s.reasons, "    ...")
			return
		}
		s.reasons = append(s.reasons, "    "+strings.TrimSpace(line[:min(len(line), width)]))
	}
}

// read consumes the stream and prints packages and failures to out as they end. A line that is not JSON (a tool's own complaint) is
// passed on unchanged.
func read(in io.Reader, out io.Writer) (*summary, error) {
	sum := &summary{packages: map[string]bool{}}
	output := map[string]map[string]*strings.Builder{} // by package and test; the package's own under ""
	running := map[string]bool{}
	builds := map[string]*strings.Builder{}
	failed := map[string]bool{} // packages of which a test has
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			fmt.Fprintf(out, "%s\n", sc.Text())
			continue
		}
		switch e.Action {
		case "start":
			running[e.Package] = true
		case "build-output":
			appendTo(builds, e.ImportPath, e.Output)
		case "output":
			if output[e.Package] == nil {
				output[e.Package] = map[string]*strings.Builder{}
			}
			appendTo(output[e.Package], e.Test, e.Output)
		case "pass", "fail", "skip":
			text := contents(output[e.Package], e.Test)
			delete(output[e.Package], e.Test)
			if e.Test != "" {
				sum.test(e, text, out)
				failed[e.Package] = failed[e.Package] || e.Action == "fail"
				continue
			}
			delete(running, e.Package)
			all := contents(builds, e.FailedBuild) + text
			if e.Action == "fail" {
				// A test that ran into the time limit, or took the whole program down, has no end of its own.
				for _, name := range slices.Sorted(maps.Keys(output[e.Package])) {
					fmt.Fprintf(out, "--- %s.%s did not end\n%s", e.Package, name, output[e.Package][name])
					all = output[e.Package][name].String() + all
				}
				if !failed[e.Package] {
					sum.because(e.Package, all, func(line string) bool { return line != "" && !strings.HasPrefix(line, "=== ") })
				}
			}
			delete(output, e.Package)
			sum.pkg(e, text, contents(builds, e.FailedBuild), out)
		}
	}
	sum.unfinished = slices.Sorted(maps.Keys(running))
	// What an interrupted run printed last is the best hint at what happened.
	for _, pkg := range sum.unfinished {
		for _, name := range slices.Sorted(maps.Keys(output[pkg])) {
			fmt.Fprint(out, output[pkg][name])
		}
	}
	return sum, sc.Err()
}

// appendTo adds text to the builder of key.
func appendTo(m map[string]*strings.Builder, key, text string) {
	if m[key] == nil {
		m[key] = &strings.Builder{}
	}
	m[key].WriteString(text)
}

// contents returns what appendTo gathered for key.
func contents(m map[string]*strings.Builder, key string) string {
	if b := m[key]; b != nil {
		return b.String()
	}
	return ""
}

// test books the end of one test.
func (s *summary) test(e event, text string, out io.Writer) {
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skips = append(s.skips, skip{e.Package, e.Test, reason(text)})
	case "fail":
		s.failed++
		fmt.Fprintf(out, "--- %s.%s\n%s", e.Package, e.Test, text)
		s.because(e.Package+"."+e.Test, text, location.MatchString)
	}
}

// pkg books the end of one package.
func (s *summary) pkg(e event, text, build string, out io.Writer) {
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(100 * time.Millisecond)
	switch e.Action {
	case "pass":
		s.packages[e.Package] = true
		fmt.Fprintf(out, "ok    %-50s %s\n", e.Package, took)
	case "fail":
		s.failedPackages = append(s.failedPackages, e.Package)
		fmt.Fprintf(out, "%s%s\nFAIL  %-50s %s\n", build, strings.TrimSpace(text), e.Package, took)
	case "skip": // no test files
	}
}

// location is what testing puts before a message: "    file_test.go:12: ".
var location = regexp.MustCompile(`^\s+[\w.-]+\.go:\d+: `)

// reason finds the message of t.Skip in a test's output.
func reason(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		if at := location.FindString(line); at != "" {
			words = append(words, strings.TrimSpace(line[len(at):]))
		}
	}
	if len(words) == 0 {
		return "(no reason given)"
	}
	return strings.Join(words, " / ")
}

// report prints the summary and says whether the run counts as passed.
func (s *summary) report(out io.Writer, absent []absence, strict bool) bool {
	expected, loud := map[string][]skip{}, []skip{}
	for _, k := range s.skips {
		if what, ok := explain(absent, k.reason); ok {
			expected[what] = append(expected[what], k)
		} else {
			loud = append(loud, k)
		}
	}
	fmt.Fprintf(out, "\n%d tests passed in %d packages, %d failed, %d skipped\n", s.passed, len(s.packages), s.failed, len(s.skips))
	for _, what := range slices.Sorted(maps.Keys(expected)) {
		fmt.Fprintf(out, "  %d skipped because this machine lacks %s:\n", len(expected[what]), what)
		for _, k := range expected[what] {
			fmt.Fprintf(out, "    %s.%s: %s\n", k.pkg, k.test, k.reason)
		}
	}
	if len(loud) > 0 {
		fmt.Fprintf(out, "\n!!! %d UNEXPECTED SKIPS: nothing known to be missing explains these, so something is not being tested\n", len(loud))
		for _, k := range loud {
			fmt.Fprintf(out, "!!!   %s.%s: %s\n", k.pkg, k.test, k.reason)
		}
	}
	if len(s.reasons) > 0 {
		fmt.Fprintf(out, "\nwhat failed:\n%s\n\n", strings.Join(s.reasons, "\n"))
	}
	ok := true
	fail := func(format string, args ...any) {
		ok = false
		fmt.Fprintf(out, "FAIL: "+format+"\n", args...)
	}
	if s.failed > 0 || len(s.failedPackages) > 0 {
		fail("%d tests in %d packages: %s", s.failed, len(s.failedPackages), strings.Join(s.failedPackages, " "))
	}
	if len(s.unfinished) > 0 {
		fail("the output ends in the middle of %s", strings.Join(s.unfinished, " "))
	}
	if s.passed == 0 {
		fail("no test ran")
	}
	if strict && len(loud) > 0 {
		fail("%d unexpected skips", len(loud))
	}
	if ok {
		fmt.Fprintln(out, "PASS")
	}
	return ok
}

// absence is something this machine lacks, with the expression that recognises a skip's reason by it.
type absence struct {
	match *regexp.Regexp
	name  string
}

// parseAbsences reads lines of "expression<TAB>name". Empty lines mean nothing.
func parseAbsences(text string) ([]absence, error) {
	var out []absence
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		expr, name, ok := strings.Cut(line, "\t")
		if !ok {
			return nil, errors.New("line without a tab: " + line)
		}
		match, err := regexp.Compile("(?i)" + expr)
		if err != nil {
			return nil, err
		}
		out = append(out, absence{match, name})
	}
	return out, nil
}

// explain names the absence that a skip's reason speaks of.
func explain(absent []absence, reason string) (string, bool) {
	for _, a := range absent {
		if a.match.MatchString(reason) {
			return a.name, true
		}
	}
	return "", false
}
