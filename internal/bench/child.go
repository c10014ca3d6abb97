package main

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The shape of the log test: so many writers, each line so many bytes long, its newline included.
const (
	writers    = 8
	lineLength = 100
)

//go:embed child/child.c
var childSource []byte

// child is the program that the daemons supervise. Its roles:
//
//	stamp FIFO           report the start to FIFO, then sleep for ever
//	lines ID COUNT FIFO  report the start, write COUNT numbered lines of 100 bytes, each with one write, report again and exit
//	slow ID COUNT FIFO PAUSE  the same, with so many microseconds before each line
//	listen MODE LINES FILE FIFO  report the start, then be an event listener of PROCESS_LOG, and report again after that many lines; 0 = never.
//	                     burst: keep the first event until a SIGUSR1 comes, then answer at once
//	                     late: the same, and write into FILE after each event
//	                     live: answer at once
//
// A listener writes what it has seen into FILE when it gets SIGTERM: the number of events, how often their numbers were not consecutive,
// the number of lines, and the times of the first and the last event as in a report, each as 8 bytes, little endian.
//
// A report is 16 bytes: CLOCK_MONOTONIC in nanoseconds and the pid, both little endian.
type child struct {
	argv []string // the command, without the role
	kind string   // for the report
}

// command is the child's command line in one role, as a configuration file takes it. No path here holds a blank or a quote.
func (c child) command(role ...string) string { return strings.Join(c.args(role...), " ") }

// args is the same as a list.
func (c child) args(role ...string) []string { return append(append([]string{}, c.argv...), role...) }

// buildChild compiles the child as a small static C program. Without a C compiler this program plays the child itself, which makes
// every start slower, alike for both daemons and for the bare loop.
func buildChild(dir string) (child, error) {
	src, bin := filepath.Join(dir, "child.c"), filepath.Join(dir, "child")
	if err := os.WriteFile(src, childSource, 0o644); err != nil {
		return child{}, err
	}
	for _, try := range []struct{ flag, kind string }{{"-static", "static C program"}, {"-O2", "C program"}} {
		if out, err := exec.Command("gcc", "-O2", try.flag, "-Wall", "-o", bin, src).CombinedOutput(); err == nil {
			return child{[]string{bin}, try.kind}, nil
		} else if !errors.Is(err, exec.ErrNotFound) {
			say("gcc %s: %v\n%s", try.flag, err, out)
		}
	}
	self, err := os.Executable()
	return child{[]string{self, "child"}, "Go program (no C compiler)"}, err
}

// childMain is the child in Go: the same roles as child.c. It returns the exit status.
func childMain(args []string) int {
	var err error
	switch {
	case len(args) == 2 && args[0] == "stamp":
		if err = sendStamp(args[1]); err == nil {
			for {
				time.Sleep(time.Hour)
			}
		}
	case len(args) == 4 && args[0] == "lines":
		err = writeLines(args[1], args[2], args[3], "0")
	case len(args) == 5 && args[0] == "slow":
		err = writeLines(args[1], args[2], args[3], args[4])
	case len(args) == 5 && args[0] == "listen":
		err = listen(args[1], args[2], args[3], args[4])
	default:
		err = fmt.Errorf("unknown role %q", args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench child: %v\n", err)
		return 1
	}
	return 0
}

// writeLines is the child's role "lines" or "slow".
func writeLines(idText, countText, fifo, pauseText string) error {
	pause, err := strconv.Atoi(pauseText)
	if err != nil {
		return err
	}
	id, err := strconv.Atoi(idText)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(countText)
	if err != nil {
		return err
	}
	if err := sendStamp(fifo); err != nil {
		return err
	}
	for seq := range count {
		time.Sleep(time.Duration(pause) * time.Microsecond)
		if _, err := os.Stdout.WriteString(logLine(id, seq)); err != nil {
			return err
		}
	}
	return sendStamp(fifo)
}

// logLine is line seq of writer id: "ID SEQ" filled up with dots to 99 bytes, and a newline.
func logLine(id, seq int) string {
	s := fmt.Sprintf("%d %010d ", id, seq)
	return s + strings.Repeat(".", lineLength-1-len(s)) + "\n"
}

// sendStamp writes one report into the FIFO.
func sendStamp(fifo string) error {
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	var rec [stampSize]byte
	binary.LittleEndian.PutUint64(rec[:8], uint64(monotonic()))
	binary.LittleEndian.PutUint64(rec[8:], uint64(os.Getpid()))
	_, err = f.Write(rec[:])
	return errors.Join(err, f.Close())
}

// monotonic reads CLOCK_MONOTONIC, which all processes share.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the kernel always has this clock
	}
	return time.Duration(ts.Nano())
}
