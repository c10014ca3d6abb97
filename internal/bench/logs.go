package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// logFileSize is maxbytes of the writers' logs: small enough that each rotates several times in a chunk.
const logFileSize = 8 << 20

// logSessions measures log capture in chunks, the daemons in turns.
func (b *bench) logSessions(ctx context.Context) error {
	for chunk := range b.logChunks {
		for i := range b.contenders {
			if chunk%2 == 1 {
				i = len(b.contenders) - 1 - i
			}
			if err := b.measureLogs(ctx, b.contenders[i]); err != nil {
				return err
			}
		}
	}
	for _, c := range b.contenders {
		say("%s: %.1f MB/s, %.2f CPU seconds per GB; %d problems %q", c.name, c.logRate(), c.logCPUPerGB(), len(c.logTrouble), c.logTrouble)
	}
	return nil
}

// logRate is in MB a second, logCPUPerGB in seconds.
func (c *contender) logRate() float64     { return float64(c.logBytes) / 1e6 / c.logTime.Seconds() }
func (c *contender) logCPUPerGB() float64 { return c.logCPU.Seconds() / (float64(c.logBytes) / 1e9) }

// measureLogs lets the writers write into rotated logs as fast as the daemon takes it, from the first writer's report to the moment when
// all bytes are in the files, then reads the files and looks for every line exactly once and in order.
func (b *bench) measureLogs(ctx context.Context, c *contender) error {
	total := int64(writers) * int64(b.logLines) * lineLength
	backups := b.logLines*lineLength/logFileSize + 3
	s, err := b.newSession(c, fmt.Sprintf("[program:w]\ncommand=%s\nnumprocs=%d\nprocess_name=%%(program_name)s_%%(process_num)d\nstartsecs=0\n"+
		"autorestart=false\nredirect_stderr=true\nstdout_logfile=LOGS/w%%(process_num)d.log\nstdout_logfile_maxbytes=%d\nstdout_logfile_backups=%d\n",
		b.child.command("lines", "%(process_num)d", strconv.Itoa(b.logLines), "FIFO"), writers, logFileSize, backups))
	if err != nil {
		return err
	}
	defer s.close()
	deadline := time.Now().Add(10 * time.Minute)
	first, err := s.stamps.next(ctx, deadline)
	if err != nil {
		return s.trouble(err.Error())
	}
	cpu0, err := cpu(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	for range 2*writers - 1 {
		if _, err := s.stamps.next(ctx, deadline); err != nil {
			return s.trouble(err.Error())
		}
	}
	// All writers are done; what is left is in the pipes. A daemon that loses bytes never gets to the total.
	logs := filepath.Join(s.dir, "logs")
	for patience := time.Now().Add(5 * time.Second); ; {
		size, err := treeSize(logs)
		if err != nil {
			return err
		}
		if size >= total || time.Now().After(patience) {
			break
		}
		if err := wait(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
	c.logTime += monotonic() - first.at
	cpu1, err := cpu(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	c.logCPU += cpu1 - cpu0
	c.logBytes += total
	if _, err := s.stop(ctx); err != nil {
		return err
	}
	for id := range writers {
		if err := checkLines(filepath.Join(logs, fmt.Sprintf("w%d.log", id)), id, b.logLines); err != nil {
			c.logTrouble = append(c.logTrouble, err.Error())
		}
	}
	return nil
}

// floodSessions measures how long a daemon takes to answer while the writers write as fast as it takes their lines.
func (b *bench) floodSessions(ctx context.Context) error {
	for _, c := range b.contenders {
		if err := b.measureFlood(ctx, c); err != nil {
			return err
		}
		say("%s: %d answers during a flood, median %v, p99 %v", c.name, len(c.answers), quantile(c.answers, 0.5), quantile(c.answers, 0.99))
	}
	return nil
}

func (b *bench) measureFlood(ctx context.Context, c *contender) error {
	const endless = 1_000_000_000
	s, err := b.newSession(c, fmt.Sprintf("[program:w]\ncommand=%s\nnumprocs=%d\nprocess_name=%%(program_name)s_%%(process_num)d\nstartsecs=0\n"+
		"autorestart=false\nstdout_logfile=LOGS/w%%(process_num)d.log\nstdout_logfile_maxbytes=%d\nstdout_logfile_backups=1\n",
		b.child.command("lines", "%(process_num)d", strconv.Itoa(endless), "FIFO"), writers, logFileSize))
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.stamps.collect(ctx, writers, time.Minute); err != nil {
		return s.trouble(err.Error())
	}
	if c.answers, err = measureAnswers(ctx, s.socket, b.flood); err != nil {
		return s.trouble(err.Error())
	}
	if size, err := treeSize(filepath.Join(s.dir, "logs")); err != nil || size == 0 {
		return fmt.Errorf("nothing was logged meanwhile: %v", err)
	}
	return nil
}

// treeSize sums the sizes of the files in a directory. Files may be renamed meanwhile.
func treeSize(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return sum, nil
}

// checkLines reads a rotated log from its oldest file to its newest and checks that it holds the lines 0 to count-1 of writer id, each
// once and in order, and nothing else. The error tells how many places are wrong and where the first is.
func checkLines(path string, id, count int) error {
	var files []string
	for n := 1; ; n++ {
		backup := fmt.Sprintf("%s.%d", path, n)
		if _, err := os.Stat(backup); err != nil {
			break
		}
		files = append([]string{backup}, files...)
	}
	files = append(files, path)
	var readers []io.Reader
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	in := bufio.NewReaderSize(io.MultiReader(readers...), 1<<20)
	want, wrong, place := 0, 0, ""
	bad := func(format string, args ...any) {
		if wrong++; wrong == 1 {
			place = fmt.Sprintf(format, args...)
		}
	}
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil && err != io.EOF {
			return err
		}
		seq, ok := parseLine(line, id)
		if !ok {
			bad("%q in place of line %d", line, want)
			continue
		}
		if seq != want {
			bad("line %d in place of line %d", seq, want)
		}
		want = seq + 1
	}
	if want != count {
		bad("the last line is %d in place of %d", want-1, count-1)
	}
	if wrong > 0 {
		return fmt.Errorf("%s: %d wrong places, the first: %s", filepath.Base(path), wrong, place)
	}
	return nil
}

// parseLine reads the number of a line of writer id; ok says whether the line is whole.
func parseLine(line []byte, id int) (seq int, ok bool) {
	if len(line) != lineLength {
		return 0, false
	}
	fields := bytes.SplitN(line, []byte(" "), 3)
	if len(fields) != 3 || string(fields[0]) != strconv.Itoa(id) {
		return 0, false
	}
	seq, err := strconv.Atoi(string(fields[1]))
	return seq, err == nil && string(line) == logLine(id, seq)
}
