package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	// Without a C compiler the program itself is the measured child; under test that is the test binary.
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(childMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestQuick builds the binaries and makes every measurement with small sizes. It looks at what cannot be missed on any machine (every
// log line is there, every child starts and restarts), not at speed.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("hidden: every measurement of make bench in small, because -short is given")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "../../cmd/graced", "../../cmd/gracectl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	opt := quick
	opt.bin = bin
	if _, err := os.Stat("/usr/bin/supervisord"); err == nil {
		opt.supervisord, opt.supervisorc = "/usr/bin/supervisord", "/usr/bin/supervisorctl"
	} else {
		t.Log("no supervisor on this machine: graced is measured alone")
	}
	rep, err := run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.rows) != 16 {
		t.Errorf("%d rows, want 16", len(rep.rows))
	}
	for _, row := range rep.rows {
		if row.ours == "" || row.target == "" || (row.original == "") != (opt.supervisord == "") {
			t.Errorf("incomplete row: %+v", row)
		}
		if strings.HasSuffix(row.what, ": lines") && !row.met {
			t.Errorf("log lines are wrong: %s", row.ours)
		}
	}
	var out strings.Builder
	rep.write(&out)
	t.Logf("\n%s", out.String())
}

// TestChildren checks that the C child and the Go child write the same and report alike.
func TestChildren(t *testing.T) {
	dir := t.TempDir()
	compiled, err := buildChild(dir)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kid := range []child{compiled, {[]string{self, "child"}, "Go"}} {
		t.Run(kid.kind, func(t *testing.T) {
			fifo, err := newStamps(filepath.Join(t.TempDir(), "fifo"))
			if err != nil {
				t.Fatal(err)
			}
			defer fifo.close()
			argv := kid.args("lines", "7", "3", fifo.path)
			t0 := monotonic()
			cmd := exec.Command(argv[0], argv[1:]...)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if want := logLine(7, 0) + logLine(7, 1) + logLine(7, 2); string(out) != want {
				t.Errorf("wrote %q, want %q", out, want)
			}
			reports, err := fifo.collect(t.Context(), 2, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range reports {
				if r.pid != cmd.Process.Pid || r.at < t0 || r.at > monotonic() {
					t.Errorf("report %+v of process %d, started after %v", r, cmd.Process.Pid, t0)
				}
			}
		})
	}
}

// TestCheckLines damages a good log in every way that a supervisor could and looks for the complaint.
func TestCheckLines(t *testing.T) {
	const id, count = 3, 30
	line := func(seq int) []byte { return []byte(logLine(id, seq)) }
	for _, tt := range []struct {
		name   string
		change func(lines [][]byte) [][]byte
		want   string
	}{
		{"whole", func(l [][]byte) [][]byte { return l }, ""},
		{"lost", func(l [][]byte) [][]byte { return append(l[:12:12], l[13:]...) }, "1 wrong places, the first: line 13 in place of line 12"},
		{"doubled", func(l [][]byte) [][]byte { return append(l[:13:13], l[12:]...) }, "1 wrong places, the first: line 12 in place of line 13"},
		{"swapped", func(l [][]byte) [][]byte { l[4], l[5] = l[5], l[4]; return l }, "3 wrong places, the first: line 5 in place of line 4"},
		{"end lost", func(l [][]byte) [][]byte { return l[:29] }, "1 wrong places, the first: the last line is 28 in place of 29"},
		{"torn", func(l [][]byte) [][]byte { l[8] = l[8][:40]; return l }, "2 wrong places, the first: "},
		{"foreign", func(l [][]byte) [][]byte { l[8] = []byte(logLine(4, 8)); return l }, "2 wrong places, the first: "},
		{"altered", func(l [][]byte) [][]byte { l[8] = bytes.Replace(line(8), []byte("..."), []byte(".x."), 1); return l }, "2 wrong places, the first: "},
		{"empty", func([][]byte) [][]byte { return nil }, "1 wrong places, the first: the last line is -1 in place of 29"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines [][]byte
			for seq := range count {
				lines = append(lines, line(seq))
			}
			all := bytes.Join(tt.change(lines), nil)
			path := filepath.Join(t.TempDir(), "w.log")
			// Three files, cut in the middle of lines, the oldest with the highest number.
			cut1, cut2 := len(all)/3, 2*len(all)/3
			for name, part := range map[string][]byte{path + ".2": all[:cut1], path + ".1": all[cut1:cut2], path: all[cut2:]} {
				if err := os.WriteFile(name, part, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := checkLines(path, id, count)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestReport checks the verdicts and the document on figures made up for it.
func TestReport(t *testing.T) {
	ms := func(n ...int) (out []time.Duration) {
		for _, n := range n {
			out = append(out, time.Duration(n)*time.Millisecond)
		}
		return out
	}
	good := contender{name: "graced", version: "9.9", start: ms(150, 100, 900), stop: ms(300), rss: 30e6, anon: 5e6, wakeups: 0.05, queries: 200,
		status: ms(8, 9, 50), restarts: ms(1, 2, 3), logBytes: 1e9, logTime: 10 * time.Second, logCPU: 1500 * time.Millisecond,
		answers: ms(1, 5), rereads: ms(100), events: events{lines: 100, burst: seen{events: 90, lines: 100}, took: time.Second, live: seen{events: 101, lines: 1000, first: 5, last: 5 + 1e9 - 1},
			late: seen{events: 21, gaps: 1}, overflow: lateWriters - 21}}
	bad := contender{name: "graced", version: "9.9", start: ms(151), stop: ms(1001), rss: 30e6 + 1, wakeups: 0.6, queries: 199,
		status: ms(11), restarts: ms(1, 2, 11), logBytes: 1e9, logTime: 11 * time.Second, logCPU: 1501 * time.Millisecond, logTrouble: []string{"lost"},
		answers: ms(1, 6), rereads: ms(101), events: events{lines: 100, burst: seen{events: 90, lines: 99}, took: time.Second, live: seen{events: 101, lines: 1000, first: 5, last: 5 + 1e9},
			late: seen{events: 21}, overflow: lateWriters - 22}}
	orig := contender{name: "supervisor", version: "4.2.5", queries: 10, logBytes: 1e9, logTime: 10 * time.Second, rss: 30e6 + 1,
		rereads: ms(500), events: events{lines: 100, burst: seen{events: 90, lines: 100}, took: 5 * time.Second, live: seen{events: 101, lines: 1000, first: 5, last: 5 + 1e9}}}
	for _, tt := range []struct {
		name   string
		with   []*contender
		missed int
	}{
		{"all met, at the limit", []*contender{&good, &orig}, 0},
		{"all missed", []*contender{&bad, &orig}, 16},
		{"alone", []*contender{&good}, 0},
		{"missed alone", []*contender{&bad}, 10}, // six targets compare with the original
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{options: full, bare: ms(100), contenders: tt.with}
			rep := b.report()
			if got := rep.missed(); got != tt.missed {
				t.Errorf("%d missed, want %d: %+v", got, tt.missed, rep.rows)
			}
			doc := filepath.Join(t.TempDir(), "doc.md")
			if err := os.WriteFile(doc, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time over its own output
				if err := rep.update(doc); err != nil {
					t.Fatal(err)
				}
			}
			var table strings.Builder
			rep.write(&table)
			text, err := os.ReadFile(doc)
			if want := "before\n" + beginMark + "\n" + table.String() + endMark + "\nafter\n"; err != nil || string(text) != want {
				t.Errorf("document (%v):\n%s\nwant:\n%s", err, text, want)
			}
			if n := strings.Count(table.String(), "**no**"); n != tt.missed {
				t.Errorf("table shows %d missed targets, want %d:\n%s", n, tt.missed, table.String())
			}
		})
	}
	doc := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(doc, []byte("no marks\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (&report{}).update(doc); err == nil {
		t.Error("a document without marks was updated")
	}
}

// TestQuantile checks the nearest rank.
func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := 200; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for _, tt := range []struct {
		of   []time.Duration
		q    float64
		want time.Duration
	}{
		{nil, 0.5, 0}, {hundred[:1], 0.5, 200}, {hundred, 0.5, 100}, {hundred, 0.99, 198}, {hundred, 0, 1}, {hundred, 1, 200},
	} {
		if got := quantile(tt.of, tt.q); got != tt.want {
			t.Errorf("quantile(%d values, %v) = %d, want %d", len(tt.of), tt.q, got, tt.want)
		}
	}
}

// TestProc reads the figures of this process.
func TestProc(t *testing.T) {
	pid := os.Getpid()
	rss, anon, err := memory(pid)
	if err != nil || anon <= 0 || rss < anon || rss > 8<<30 {
		t.Errorf("memory = %d, %d, %v", rss, anon, err)
	}
	before, err := switches(pid)
	if err != nil {
		t.Fatal(err)
	}
	// A child's end is waited for: at least one switch.
	if err := exec.Command("true").Run(); err != nil {
		t.Fatal(err)
	}
	if after, err := switches(pid); err != nil || after <= before {
		t.Errorf("switches = %d, then %d, %v", before, after, err)
	}
	used, err := cpu(pid)
	if err != nil || used <= 0 {
		t.Errorf("cpu = %v, %v", used, err)
	}
	for n := 0; ; n++ { // work shows
		if now, err := cpu(pid); err != nil || now > used {
			break
		} else if n == 1e6 {
			t.Fatalf("cpu stands at %v", now)
		}
	}
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, kid := range children(pid) {
		found = found || kid == cmd.Process.Pid
	}
	if start, err := startTime(cmd.Process.Pid); !found || err != nil || start == "" {
		t.Errorf("children(%d) lacks %d, or its start time %q is unreadable: %v", pid, cmd.Process.Pid, start, err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, _, err := memory(cmd.Process.Pid); err == nil {
		t.Error("memory of a process that is gone")
	}
}
