package childlog

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkDrain moves output from a pipe to a log that is rotated, in chunks of a line and of half a pipe.
func BenchmarkDrain(b *testing.B) {
	line := strings.Repeat("0123456789 ", 9) + "\n"
	colours := "\x1b[1m" + line[8:len(line)-1] + "\x1b[0m\n"
	for name, c := range map[string]struct {
		cfg   Config
		line  string
		stage bool
	}{
		"spliced":          {Config{}, line, false},
		"spliced/staged":   {Config{}, line, true},
		"stripped":         {Config{StripANSI: true}, colours, false},
		"stripped/staged":  {Config{StripANSI: true}, colours, true},
		"captured":         {Config{CaptureMaxBytes: 1 << 20}, captureBegin + line[:50] + captureEnd + "\n", false},
		"captured/staged":  {Config{CaptureMaxBytes: 1 << 20}, captureBegin + line[:50] + captureEnd + "\n", true},
		"capturing":        {Config{CaptureMaxBytes: 1 << 20}, line, false}, // no end
		"capturing/staged": {Config{CaptureMaxBytes: 1 << 20}, line, true},
	} {
		for size, lines := range map[string]int{"line": 1, "block": 300} {
			b.Run(name+"/"+size, func(b *testing.B) {
				c.cfg.Path, c.cfg.MaxBytes, c.cfg.Backups = filepath.Join(b.TempDir(), "log"), 50<<20, 1
				s := NewStream(c.cfg, nil)
				defer s.Dispose()
				defer s.Close()
				if c.stage {
					stage, _ := newStage(b)
					s.UseStage(stage, 1)
				}
				if err := s.Open(); err != nil {
					b.Fatal(err)
				}
				var fds [2]int
				if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
					b.Fatal(err)
				}
				defer unix.Close(fds[0])
				defer unix.Close(fds[1])
				chunk := []byte(strings.Repeat(c.line, lines))
				if strings.HasPrefix(name, "capturing") {
					unix.Write(fds[1], []byte(captureBegin))
				}
				b.SetBytes(int64(len(chunk)))
				before := cpuTime(b)
				for b.Loop() {
					if _, err := unix.Write(fds[1], chunk); err != nil {
						b.Fatal(err)
					}
					if _, err := s.Drain(fds[0], bufferSize); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op") // tells more where others use the machine too
			})
		}
	}
}

// cpuTime returns what this process has used, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return use.Utime.Nano() + use.Stime.Nano()
}
