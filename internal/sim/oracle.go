package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
)

// Interpreter is the Python that has Supervisor's modules on Debian.
const Interpreter = "/usr/bin/python3"

// Played is the trace of one scenario.
type Played struct {
	Seed  uint64
	Trace []Fact
}

// UnmarshalJSON reads the driver's form: {"seed": n, "trace": [[time, kind, subject, text], ...]}.
func (p *Played) UnmarshalJSON(b []byte) error {
	var raw struct {
		Seed  uint64
		Trace [][4]any
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	p.Seed, p.Trace = raw.Seed, make([]Fact, len(raw.Trace))
	for i, f := range raw.Trace {
		at, ok := f[0].(float64)
		if !ok {
			return fmt.Errorf("cannot read trace of seed %d: time %v", raw.Seed, f[0])
		}
		p.Trace[i] = Fact{At: int64(at), Kind: fmt.Sprint(f[1]), Subject: fmt.Sprint(f[2]), Text: fmt.Sprint(f[3])}
	}
	return nil
}

// MarshalJSON writes the driver's form.
func (p Played) MarshalJSON() ([]byte, error) {
	trace := make([][4]any, len(p.Trace))
	for i, f := range p.Trace {
		trace[i] = [4]any{f.At, f.Kind, f.Subject, f.Text}
	}
	return json.Marshal(map[string]any{"seed": p.Seed, "trace": trace})
}

// Oracle is a running driver of the reference (oracle/oracle.py). It answers each scenario with the reference's trace.
type Oracle struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
}

// StartOracle starts the driver.
func StartOracle(script string) (*Oracle, error) {
	cmd := exec.Command(Interpreter, "-B", script)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start oracle: %v", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start oracle: %v", err)
	}
	cmd.Stderr = &tail{}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start oracle: %v", err)
	}
	return &Oracle{cmd, in, bufio.NewReaderSize(out, 1<<20)}, nil
}

// Ask hands in a scenario without waiting.
func (o *Oracle) Ask(sc Scenario) error {
	b, err := json.Marshal(sc)
	if err != nil {
		return err
	}
	_, err = o.in.Write(append(b, '\n'))
	return err
}

// Answer returns the trace of the oldest scenario that has none yet.
func (o *Oracle) Answer() (Played, error) {
	line, err := o.answers.ReadBytes('\n')
	if err != nil {
		o.in.Close()
		return Played{}, fmt.Errorf("cannot read the oracle's answer: %v (%v)\n%s", err, o.cmd.Wait(), o.cmd.Stderr)
	}
	var p Played
	if err := json.Unmarshal(line, &p); err != nil {
		return Played{}, fmt.Errorf("cannot read the oracle's answer: %v", err)
	}
	return p, nil
}

// Kill ends the driver at once.
func (o *Oracle) Kill() { _ = o.cmd.Process.Kill() }

// Close lets the driver end once it has answered everything.
func (o *Oracle) Close() error {
	o.in.Close()
	return o.cmd.Wait()
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	if len(t.b) > 4096 {
		t.b = t.b[len(t.b)-4096:]
	}
	return len(b), nil
}

func (t *tail) String() string { return string(t.b) }
