package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The marks between which the table stands in the document.
const (
	beginMark = "<!-- bench:begin (written by make bench) -->"
	endMark   = "<!-- bench:end -->"
)

// report is the outcome of a run.
type report struct {
	machine  string
	original string // heading of the original's column
	rows     []row
}

// row is one line of the table. An empty cell of the original means that it was not measured.
type row struct {
	what, ours, original, target string
	met                          bool
	open                         bool // the target compares with the original, which is not here
}

// report compares the measurements with the targets.
func (b *bench) report() *report {
	ours := b.contenders[0]
	var orig *contender
	r := &report{machine: b.machine(), original: "Supervisor"}
	if len(b.contenders) > 1 {
		orig = b.contenders[1]
		r.original += " " + orig.version
	}
	add := func(what, target string, met bool, cell func(*contender) string) {
		line := row{what: what, ours: cell(ours), target: target, met: met}
		if orig != nil {
			line.original = cell(orig)
		} else {
			line.open = strings.Contains(target, "Supervisor")
		}
		r.rows = append(r.rows, line)
	}
	median := func(d []time.Duration) time.Duration { return quantile(d, 0.5) }

	bare := median(b.bare)
	add(fmt.Sprintf("start of %d children of one program, from the daemon's exec to the last child's first instruction", b.many),
		fmt.Sprintf("≤ 1.5 × a bare ForkExec loop over the same child (%s)", show(bare)), ratio(median(ours.start), bare) <= 1.5,
		func(c *contender) string {
			return fmt.Sprintf("%s (%.2f × bare)", show(median(c.start)), ratio(median(c.start), bare))
		})
	add(fmt.Sprintf("`kill -9` of a child to its successor running, among %d, median / p99 of %d", b.few, len(ours.restarts)),
		"≤ 3 ms / ≤ 10 ms", median(ours.restarts) <= 3*time.Millisecond && quantile(ours.restarts, 0.99) <= 10*time.Millisecond,
		func(c *contender) string {
			text := show(median(c.restarts)) + " / " + show(quantile(c.restarts, 0.99))
			if len(c.restarts) < len(ours.restarts) {
				text += fmt.Sprintf(" (of %d)", len(c.restarts))
			}
			return text
		})
	add(fmt.Sprintf("`getAllProcessInfo` of %d processes over the unix socket, one connection", b.many),
		"≥ 20 × Supervisor", orig != nil && ours.queries >= 20*orig.queries,
		func(c *contender) string {
			text := fmt.Sprintf("%.1f /s", c.queries)
			if c == ours && orig != nil {
				text += fmt.Sprintf(" (%.0f ×)", c.queries/orig.queries)
			}
			return text
		})
	add(fmt.Sprintf("`gracectl status` (`supervisorctl status`), %d processes, the whole client process, median of %d", b.few, len(ours.status)),
		"≤ 10 ms", median(ours.status) <= 10*time.Millisecond, func(c *contender) string { return show(median(c.status)) })
	gb := float64(ours.logBytes) / 1e9
	lines := fmt.Sprintf("log capture, %d writers of %d-byte lines into rotated files, %.2g GB", writers, lineLength, gb)
	add(lines+": lines", "each exactly once, in order", len(ours.logTrouble) == 0, func(c *contender) string {
		if len(c.logTrouble) > 0 {
			return fmt.Sprintf("wrong in %d files: %s", len(c.logTrouble), c.logTrouble[0])
		}
		return fmt.Sprintf("%d of %d", c.logBytes/lineLength, c.logBytes/lineLength)
	})
	add("the same: throughput", "not below Supervisor", orig != nil && ours.logRate() >= orig.logRate(),
		func(c *contender) string { return fmt.Sprintf("%.0f MB/s", c.logRate()) })
	add("the same: processor time of the daemon", "≤ 1.5 s per GB", ours.logCPUPerGB() <= 1.5,
		func(c *contender) string { return fmt.Sprintf("%.2f s per GB", c.logCPUPerGB()) })
	add(fmt.Sprintf("`getState` while %d writers flood their logs, median / p99 of %d", writers, len(ours.answers)), "p99 ≤ 5 ms",
		len(ours.answers) > 0 && quantile(ours.answers, 0.99) <= 5*time.Millisecond,
		func(c *contender) string {
			text := show(median(c.answers)) + " / " + show(quantile(c.answers, 0.99))
			if len(c.answers) < len(ours.answers) {
				text += fmt.Sprintf(" (of %d)", len(c.answers))
			}
			return text
		})
	add(fmt.Sprintf("`PROCESS_LOG` events, %d lines waiting, to one listener that answers at once", ours.events.lines), "≥ 5 × Supervisor, no line lost",
		ours.events.whole(ours.events.burst, 1) && orig != nil && ours.events.rate() >= 5*orig.events.rate(), func(c *contender) string {
			if c.events.trouble != "" {
				return c.events.trouble
			}
			text := fmt.Sprintf("%.0f /s", c.events.rate())
			if c == ours && orig != nil && orig.events.rate() > 0 {
				text += fmt.Sprintf(" (%.1f ×)", c.events.rate()/orig.events.rate())
			}
			return text + fmt.Sprintf(", %d of %d lines", c.events.burst.lines, c.events.lines)
		})
	add(fmt.Sprintf("the same while %d processes write %d lines", eventWriters, ours.events.lines*liveFactor), "faster than Supervisor, no line lost",
		ours.events.whole(ours.events.live, liveFactor) && orig != nil && ours.events.liveRate() > orig.events.liveRate(), func(c *contender) string {
			if c.events.trouble != "" {
				return c.events.trouble
			}
			text := fmt.Sprintf("%.0f /s", c.events.liveRate())
			if c == ours && orig != nil && orig.events.liveRate() > 0 {
				text += fmt.Sprintf(" (%.1f ×)", c.events.liveRate()/orig.events.liveRate())
			}
			return text + fmt.Sprintf(", %d of %d lines", c.events.live.lines, c.events.lines*liveFactor)
		})
	add(fmt.Sprintf("a listener that answers late, %d events, buffer of %d", lateWriters, lateBuffer), "each delivered or reported as discarded", ours.events.counted(),
		func(c *contender) string {
			if c.events.trouble != "" {
				return c.events.trouble
			}
			return fmt.Sprintf("%d delivered, %d discarded", c.events.late.events, c.events.overflow)
		})
	add(fmt.Sprintf("`reread` of %d programs in %d files, one of them changed, median of %d", b.files, b.files, len(ours.rereads)), "≥ 5 × as fast as Supervisor",
		orig != nil && len(ours.rereads) > 0 && 5*median(ours.rereads) <= median(orig.rereads), func(c *contender) string {
			text := show(median(c.rereads))
			if c == ours && orig != nil {
				text += fmt.Sprintf(" (%.1f ×)", ratio(median(orig.rereads), median(c.rereads)))
			}
			return text
		})
	add(fmt.Sprintf("%d idle children with AUTO logs: resident memory of the daemon (anonymous part)", b.many), "≤ 30 MB", ours.rss <= 30e6,
		func(c *contender) string { return megabytes(c.rss, c.anon) })
	add("the same, beside "+b.peer.String(), "below Supervisor and pm2", orig != nil && ours.rss < orig.rss && (b.peer.rss == 0 || ours.rss < b.peer.rss),
		func(c *contender) string { return megabytes(c.rss, c.anon) })
	add(fmt.Sprintf("the same: wake-ups of all the daemon's threads, over %v", b.idle), "about none (≤ 0.5 /s)", ours.wakeups <= 0.5,
		func(c *contender) string { return fmt.Sprintf("%.2f /s", c.wakeups) })
	add(fmt.Sprintf("SIGTERM to the daemon with %d children until all is gone", b.many), "≤ 1 s", median(ours.stop) <= time.Second,
		func(c *contender) string { return show(median(c.stop)) })
	return r
}

// machine describes where and how the figures were made.
func (b *bench) machine() string {
	var u unix.Utsname
	kernel := "unknown kernel"
	if err := unix.Uname(&u); err == nil {
		kernel = "Linux " + string(bytes.TrimRight(u.Release[:], "\x00"))
	}
	return fmt.Sprintf("%d cores (%s), %s, %s, %s. Children: %s. Files in %s. Load average before the run: %.1f. Command: `make bench`.", runtime.NumCPU(), cpuModel(), kernel, runtime.Version(),
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), b.child.kind, filepath.Dir(b.dir), b.load)
}

// cpuModel reads the processor's name.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

// missed counts the targets that were not met.
func (r *report) missed() int {
	n := 0
	for _, row := range r.rows {
		if !row.met && !row.open {
			n++
		}
	}
	return n
}

// write prints the machine and the table as Markdown.
func (r *report) write(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n| what | graced | %s | target | met |\n|---|---|---|---|---|\n", r.machine, r.original)
	for _, row := range r.rows {
		met := "yes"
		switch {
		case row.open:
			met = "not compared"
		case !row.met:
			met = "**no**"
		}
		original := row.original
		if original == "" {
			original = "not installed"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", row.what, row.ours, original, row.target, met)
	}
}

// update replaces what stands between the marks of a document.
func (r *report) update(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(text), beginMark+"\n")
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok1 || !ok2 {
		return fmt.Errorf("cannot update %s: no lines %s and %s", path, beginMark, endMark)
	}
	var table strings.Builder
	r.write(&table)
	return os.WriteFile(path, []byte(before+beginMark+"\n"+table.String()+endMark+after), 0o644)
}

// quantile returns the q-quantile of durations (nearest rank), zero of none.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// megabytes shows the size of a process.
func megabytes(rss, anon int64) string {
	return fmt.Sprintf("%.1f MB (%.1f MB)", float64(rss)/1e6, float64(anon)/1e6)
}

// ratio of two durations.
func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// show prints a duration with about three digits.
func show(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
