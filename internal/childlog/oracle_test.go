package childlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 = from the clock")
	rewrite  = flag.Bool("rewrite", false, "record Supervisor's answers anew")
)

func newRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// python is the interpreter that has Supervisor.
const python = "/usr/bin/python3"

// ask sends the cases to a script and returns its answers; ok is false where Supervisor is not installed.
func ask[T any](t *testing.T, script string, cases []T) (answers []T, ok bool) {
	t.Helper()
	if err := exec.Command(python, "-c", `import sys; sys.path.insert(0, "/usr/lib/python3/dist-packages"); import supervisor`).Run(); err != nil {
		return nil, false
	}
	var in bytes.Buffer
	for _, c := range cases {
		if err := json.NewEncoder(&in).Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, script)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return decode[T](t, out), true
}

func decode[T any](t *testing.T, data []byte) (cases []T) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c T
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// recorded returns the answers in a file; with -rewrite they are asked anew.
func recorded[T any](t *testing.T, file, script string, cases []T) []T {
	t.Helper()
	if *rewrite {
		answers, ok := ask(t, script, cases)
		if !ok {
			t.Fatal("no Supervisor to ask")
		}
		var out bytes.Buffer
		for _, a := range answers {
			json.NewEncoder(&out).Encode(a)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	answers := decode[T](t, data)
	if len(answers) == 0 {
		t.Fatalf("%s holds no case", file)
	}
	return answers
}

// rotation is a case of rotation with Supervisor's answer.
type rotation struct {
	MaxBytes int64             `json:"maxbytes"`
	Backups  int               `json:"backups"`
	Before   map[string]string `json:"before"`
	Chunks   []string          `json:"chunks"`
	Files    map[string]string `json:"files"`
}

func randomRotation(r *rand.Rand) rotation {
	c := rotation{MaxBytes: []int64{0, 1, 7, 10, 50}[r.IntN(5)], Backups: r.IntN(5), Before: map[string]string{}, Chunks: []string{}}
	for _, name := range []string{"log", "log.1", "log.2", "log.3", "log.4", "log.7"} {
		if r.IntN(3) == 0 {
			c.Before[name] = fmt.Sprintf("old %s %d ", name, r.IntN(100))
		}
	}
	for i := range r.IntN(12) {
		chunk := fmt.Sprintf("%d:", i)
		for range r.IntN(12) {
			chunk += string(rune('a' + r.IntN(26)))
		}
		c.Chunks = append(c.Chunks, chunk)
	}
	return c
}

// play carries out the case with a stream and with the daemon's own file; they must agree.
func (c rotation) play(t *testing.T) map[string]string {
	t.Helper()
	var results []map[string]string
	for _, way := range []string{"splice", "log", "file"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "log")
		for name, text := range c.Before {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var say func(string)
		done := func() {}
		switch way {
		case "file":
			f, err := OpenFile(path, c.MaxBytes, c.Backups, nil)
			if err != nil {
				t.Fatal(err)
			}
			say = func(s string) { f.Write([]byte(s)) }
			done = func() { f.Close() }
		default:
			cfg := Config{Path: path, MaxBytes: c.MaxBytes, Backups: c.Backups}
			if way == "log" {
				cfg.Log = func([]byte) {}
			}
			say = opened(t, cfg).say
		}
		for _, chunk := range c.Chunks {
			say(chunk)
		}
		done()
		files := map[string]string{}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			files[e.Name()] = read(t, filepath.Join(dir, e.Name()))
		}
		results = append(results, files)
	}
	for _, other := range results[1:] {
		if !reflect.DeepEqual(results[0], other) {
			t.Errorf("%+v: ways differ: %q", c, results)
		}
	}
	return results[0]
}

func TestRotationRecorded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var cases []rotation
	for range 60 {
		cases = append(cases, randomRotation(r))
	}
	for _, c := range recorded(t, "testdata/rotate.json", "testdata/rotate.py", cases) {
		if got := c.play(t); !reflect.DeepEqual(got, c.Files) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// TestRotationLive compares random sequences of writes with Supervisor's RotatingFileHandler.
func TestRotationLive(t *testing.T) {
	r := newRand(t)
	var cases []rotation
	for range 60 {
		cases = append(cases, randomRotation(r))
	}
	answers, ok := ask(t, "testdata/rotate.py", cases)
	if !ok {
		t.Skip("hidden: random rotations against Supervisor's, because Supervisor is not installed; recorded answers are compared by TestRotationRecorded")
	}
	for _, c := range answers {
		if got := c.play(t); !reflect.DeepEqual(got, c.Files) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// reading is a case of Read and Tail with Supervisor's answers.
type reading struct {
	Text   string `json:"text"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Read   string `json:"read"`
	Fault  string `json:"fault,omitempty"`
	Tail   []any  `json:"tail"`
}

func (c reading) check(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(c.Text), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := Read(path, c.Offset, c.Length)
	if string(data) != c.Read || errors.Is(err, ErrBadArguments) != (c.Fault == "BAD_ARGUMENTS") || (err != nil) != (c.Fault != "") {
		t.Errorf("Read of %d bytes (%d, %d): %q, %v; want %q, %s", len(c.Text), c.Offset, c.Length, data, err, c.Read, c.Fault)
	}
	data, offset, overflow, err := Tail(path, c.Offset, c.Length)
	if want := []any{string(data), float64(offset), overflow}; err != nil || !reflect.DeepEqual(c.Tail, want) {
		t.Errorf("Tail of %d bytes (%d, %d): %q, %v; want %v", len(c.Text), c.Offset, c.Length, want, err, c.Tail)
	}
}

func readings() (cases []reading) {
	for _, text := range []string{"", "abcdefg"} {
		for _, offset := range []int64{-1000, -8, -7, -3, -1, 0, 1, 2, 3, 5, 6, 7, 8, 1000} {
			for _, length := range []int64{-3, -1, 0, 1, 2, 3, 5, 7, 8, 100} {
				cases = append(cases, reading{Text: text, Offset: offset, Length: length})
			}
		}
	}
	return cases
}

func TestReadRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, c := range recorded(t, "testdata/read.json", "testdata/read.py", readings()) {
		c.check(t, path)
	}
}

func TestReadLive(t *testing.T) {
	answers, ok := ask(t, "testdata/read.py", readings())
	if !ok {
		t.Skip("hidden: random reads against Supervisor's, because Supervisor is not installed; recorded answers are compared by TestReadRecorded")
	}
	path := filepath.Join(t.TempDir(), "log")
	for _, c := range answers {
		c.check(t, path)
	}
}

func TestReadExtremes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if _, err := Read(path, 0, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if data, offset, overflow, err := Tail(path, 5, 0); !errors.Is(err, fs.ErrNotExist) || len(data) != 0 || offset != 5 || overflow {
		t.Errorf("missing file: %q %d %v %v", data, offset, overflow, err)
	}
	if err := os.WriteFile(path, []byte("abcdefg"), 0o644); err != nil {
		t.Fatal(err)
	}
	if data, err := Read(path, math.MinInt64, 0); string(data) != "abcdefg" || err != nil {
		t.Errorf("smallest offset: %q %v", data, err)
	}
	if data, err := Read(path, 2, math.MaxInt64); string(data) != "cdefg" || err != nil {
		t.Errorf("largest length: %q %v", data, err)
	}
	if data, offset, overflow, err := Tail(path, math.MaxInt64, math.MaxInt64); string(data) != "" || offset != 7 || overflow || err != nil {
		t.Errorf("largest numbers: %q %d %v %v", data, offset, overflow, err)
	}
	if data, offset, overflow, err := Tail(path, math.MinInt64, -1); string(data) != "" || offset != 7 || !overflow || err != nil {
		t.Errorf("smallest numbers: %q %d %v %v", data, offset, overflow, err)
	}
}
