package sim

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/core"
)

var (
	oracleN      = flag.Int("oracle.n", 500, "number of scenarios that are compared with the reference")
	oracleSeed   = flag.Uint64("oracle.seed", 1, "seed of the first scenario that is compared with the reference")
	oracleShow   = flag.Bool("oracle.show", false, "print the first scenario and both traces")
	oracleRecord = flag.Bool("oracle.record", false, "write the reference's traces to "+recording)
)

// recording holds traces of the reference for machines that do not have it.
const recording = "testdata/oracle.jsonl.gz"

// recorded is one line of the recording. Scenario is a digest: the traces must not be compared with other scenarios than those they are of.
type recorded struct {
	Scenario string
	Played   Played
}

// TestOracle compares the machine, with the reference's quirks switched on, with Supervisor's own classes over random scenarios.
func TestOracle(t *testing.T) {
	answers, n := reference(t)
	tally := tally{}
	for i := range n {
		sc := Generate(*oracleSeed + uint64(i))
		ref := answers(sc)
		w := NewWorld(core.Options{Quirks: core.ReferenceQuirks().Quirks, StopAscending: true, Strict: true}, nil)
		w.Run(sc)
		if *oracleShow && i == 0 {
			show(t, sc, ref.Trace, w.Trace)
		}
		tally.add(t, sc, Compare(sc, ref.Trace, w), len(ref.Trace))
	}
	tally.report(t)
	if tally.facts < 5*n {
		t.Errorf("%d facts in %d scenarios: hardly anything happens in them", tally.facts, n)
	}
}

// tally counts outcomes of comparisons.
type tally struct {
	scenarios, facts, differ int
	ties                     map[string]int
}

func (c *tally) add(t *testing.T, sc Scenario, v Verdict, facts int) {
	t.Helper()
	c.scenarios++
	c.facts += facts
	if c.ties == nil {
		c.ties = map[string]int{}
	}
	for _, tie := range v.Ties {
		c.ties[tie]++
	}
	if len(v.Differences) == 0 {
		return
	}
	if c.differ++; c.differ <= 5 {
		t.Errorf("seed %d (-oracle.seed=%[1]d -oracle.n=1 -oracle.show prints everything):\n%v", sc.Seed, v.Differences)
	}
}

func (c *tally) report(t *testing.T) {
	t.Helper()
	t.Logf("%d scenarios from seed %d, %d facts: %d differ", c.scenarios, *oracleSeed, c.facts, c.differ)
	for _, tie := range slices.Sorted(maps.Keys(c.ties)) {
		t.Logf("  tie in %d: %s", c.ties[tie], tie)
	}
}

// reference returns a function that answers scenarios, to be called with rising seeds, and for how many.
func reference(t *testing.T) (answers func(Scenario) Played, n int) {
	t.Helper()
	why, err := exec.Command(Interpreter, "-c", "import supervisor.supervisord, supervisor.tests.base").CombinedOutput()
	if err != nil {
		if *oracleRecord || *oracleSeed != 1 {
			t.Fatalf("%s has no supervisor: %v\n%s", Interpreter, err, why)
		}
		lines := readRecording(t)
		t.Logf("%s has no supervisor: comparing with its RECORDED traces instead, at most %d", Interpreter, len(lines))
		return func(sc Scenario) Played {
			line := lines[int(sc.Seed)-1]
			if line.Scenario != digest(t, sc) {
				t.Fatalf("seed %d: the recording is of another scenario; record anew with -oracle.record", sc.Seed)
			}
			return line.Played
		}, min(*oracleN, len(lines))
	}

	o, err := StartOracle("oracle/oracle.py")
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() { // the driver works ahead
		for i := range *oracleN {
			if err := o.Ask(Generate(*oracleSeed + uint64(i))); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	var lines []recorded
	t.Cleanup(func() {
		if t.Failed() {
			o.Kill()
		}
		if err := <-failed; err != nil && !t.Failed() {
			t.Errorf("cannot ask the oracle: %v", err)
		}
		if err := o.Close(); err != nil && !t.Failed() {
			t.Errorf("the oracle ended badly: %v", err)
		}
		if *oracleRecord && !t.Failed() {
			writeRecording(t, lines)
		}
	})
	return func(sc Scenario) Played {
		p, err := o.Answer()
		if err != nil {
			t.Fatalf("seed %d: %v", sc.Seed, err)
		}
		if p.Seed != sc.Seed {
			t.Fatalf("asked for seed %d, got %d", sc.Seed, p.Seed)
		}
		if *oracleRecord {
			lines = append(lines, recorded{digest(t, sc), p})
		}
		return p
	}, *oracleN
}

// TestRecording checks that the recorded traces belong to the scenarios of today, and that the machine agrees with them. It keeps the recording
// fit for machines without the reference.
func TestRecording(t *testing.T) {
	lines := readRecording(t)
	if len(lines) < 500 {
		t.Fatalf("only %d scenarios are recorded", len(lines))
	}
	for i, line := range lines {
		sc := Generate(uint64(i) + 1)
		if line.Scenario != digest(t, sc) {
			t.Fatalf("seed %d: the recording is of another scenario; record anew: go test ./internal/sim -run TestOracle -oracle.record", sc.Seed)
		}
		w := NewWorld(core.ReferenceQuirks(), nil)
		w.Run(sc)
		if v := Compare(sc, line.Played.Trace, w); len(v.Differences) > 0 {
			t.Fatalf("seed %d: %v", sc.Seed, v.Differences)
		}
	}
}

func digest(t *testing.T, sc Scenario) string {
	t.Helper()
	b, err := json.Marshal(sc)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func readRecording(t *testing.T) []recorded {
	t.Helper()
	f, err := os.Open(recording)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var lines []recorded
	scan := bufio.NewScanner(z)
	scan.Buffer(nil, 1<<24)
	for scan.Scan() {
		var r recorded
		if err := json.Unmarshal(scan.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, r)
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func writeRecording(t *testing.T, lines []recorded) {
	t.Helper()
	f, err := os.Create(recording)
	if err != nil {
		t.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	for _, line := range lines {
		if err := json.NewEncoder(z).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// show prints a scenario and both traces.
func show(t *testing.T, sc Scenario, ref, ours []Fact) {
	t.Helper()
	var b strings.Builder
	for _, g := range sc.Groups {
		for _, p := range g.Programs {
			fmt.Fprintf(&b, "%s priority %d later %v: %+v\n", g.Name, g.Priority, g.Later, p)
		}
	}
	for _, c := range sc.Commands {
		fmt.Fprintf(&b, "%+v\n", c)
	}
	for _, f := range ref {
		fmt.Fprintf(&b, "reference %v\n", f)
	}
	for _, f := range ours {
		fmt.Fprintf(&b, "core      %v\n", f)
	}
	t.Log("\n" + b.String())
}
