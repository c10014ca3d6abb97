package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// memory returns the resident set of a process and its anonymous part, in bytes.
func memory(pid int) (rss, anon int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	if rss, err = statusNumber(text, "VmRSS:"); err != nil {
		return 0, 0, err
	}
	if anon, err = statusNumber(text, "RssAnon:"); err != nil {
		return 0, 0, err
	}
	return rss << 10, anon << 10, nil
}

// statusNumber finds the number of one line of /proc/PID/status.
func statusNumber(text []byte, key string) (int64, error) {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(key)); ok {
			if f := bytes.Fields(rest); len(f) > 0 {
				return strconv.ParseInt(string(f[0]), 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no %s in /proc/PID/status", key)
}

// switches counts the context switches of all threads of a process so far: each is a thread that woke up or was preempted.
func switches(pid int) (int64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		for _, key := range []string{"voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"} {
			n, err := statusNumber(text, key)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("no threads of process %d in /proc", pid)
	}
	return sum, nil
}

// cpu returns the processor time of a process: all threads, those that ended included, user and system. It is read from the process's
// own clock, which the scheduler keeps in nanoseconds; the times of /proc/PID/stat are samples, taken 100 times a second or so.
func cpu(pid int) (time.Duration, error) {
	const sched = 2 // which of the three clocks of a process (see clock_getcpuclockid(3))
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err != nil {
		return 0, fmt.Errorf("cannot read processor time of %d: %v", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// startTime identifies a process beside its pid, which may be given out again.
func startTime(pid int) (string, error) {
	fields, err := statFields(pid)
	if err != nil {
		return "", err
	}
	return fields[19], nil
}

// statFields returns the fields of /proc/PID/stat from the third (state) on; the command before may hold anything.
func statFields(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("cannot parse /proc/%d/stat: %q", pid, text)
	}
	return fields, nil
}

// children returns the pids of a process's children.
func children(pid int) []int {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	var out []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(word); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// loadAverage returns how many threads ran or waited for a processor, averaged over the last minute; 0 if that cannot be told.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	word, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return 0
	}
	return load
}
