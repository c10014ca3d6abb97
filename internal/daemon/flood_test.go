package daemon

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The test's own program is a listener that appends what processes wrote to files in the directory that recordEnv names, and touches the FIFO
// "done" there after so many bytes as sizeEnv says.
const (
	recordEnv = "GRACED_TEST_RECORD"
	sizeEnv   = "GRACED_TEST_SIZE"
)

// record accepts every event, in two writes, as supervisor.childutils does it.
func record(in io.Reader, out io.Writer, dir string, size int) error {
	r := bufio.NewReader(in)
	for next := 0; ; next++ {
		fmt.Fprint(out, "READY\n")
		head, payload, err := readEvent(r)
		if err != nil {
			return err
		}
		if serial := valueOf(head, "poolserial:"); serial != strconv.Itoa(next) {
			return fmt.Errorf("event %s of the pool comes after %d", serial, next-1)
		}
		about, data, _ := strings.Cut(string(payload), "\n")
		f, err := os.OpenFile(filepath.Join(dir, valueOf(about, "processname:")), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.WriteString(data); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		if size -= len(data); size == 0 {
			if err := touch(filepath.Join(dir, "done")); err != nil {
				return err
			}
		}
		fmt.Fprint(out, "RESULT 2\nOK")
	}
}

// TestFloodIsTold: what several processes write at once reaches a listener whole and in order, whoever takes the turns.
func TestFloodIsTold(t *testing.T) {
	const writers, lines = 4, 2000
	want := ""
	for i := range lines {
		want += fmt.Sprintf("line %d\n", i)
	}
	dir := tell(t, "PROCESS_LOG", writers*len(want), fmt.Sprintf(`[program:w]
command=/bin/sh -c "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done"
process_name=w%%(process_num)d
numprocs=%d
startsecs=0
autorestart=false
stdout_events_enabled=true
stdout_logfile=NONE
`, lines, writers))
	for i := range writers {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("w%d", i)))
		if err != nil || string(got) != want {
			t.Errorf("the listener was told %d bytes of writer %d, want %d, or in another order: %v", len(got), i, len(want), err)
		}
	}
}

// TestLargeEventIsTold: an event of several megabytes reaches a listener that reads it, and the next one does too.
func TestLargeEventIsTold(t *testing.T) {
	const size = 3_000_000
	dir := tell(t, "PROCESS_COMMUNICATION", size+5, fmt.Sprintf(`[program:w]
command=/bin/sh -c "printf '<!--XSUPERVISOR:BEGIN-->'; head -c %d /dev/zero | tr '\0' x; printf '<!--XSUPERVISOR:END--><!--XSUPERVISOR:BEGIN-->small<!--XSUPERVISOR:END-->'"
startsecs=0
autorestart=false
stdout_capture_maxbytes=10MB
stdout_logfile=NONE
`, size))
	if got, err := os.ReadFile(filepath.Join(dir, "w")); err != nil || string(got) != strings.Repeat("x", size)+"small" {
		t.Errorf("the listener was told %d bytes, want %d, or others: %v", len(got), size+5, err)
	}
}

// tell runs a daemon with the programs of conf and a listener of events until it was told so many bytes. It returns the directory of the files in
// which it kept them, one for each process.
func tell(t *testing.T, events string, size int, conf string) (dir string) {
	dir = t.TempDir()
	conf = fmt.Sprintf(`[supervisord]
childlogdir=%[1]s
[eventlistener:l]
command=%[2]s
environment=%[3]s="%[1]s",%[4]s=%[5]d
events=%[6]s
buffer_size=1000000
startsecs=0
stdout_logfile=NONE
`, dir, os.Args[0], recordEnv, sizeEnv, size, events) + conf
	if err := unix.Mkfifo(filepath.Join(dir, "done"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	_, ended, end := runReal(t, conf, log)
	told := make(chan error, 1)
	go func() {
		_, err := os.ReadFile(filepath.Join(dir, "done")) // until the listener opens and closes it
		told <- err
	}()
	select {
	case err := <-told:
		if err != nil {
			t.Error(err)
		}
	case <-ended:
		t.Fatal("the daemon ended")
	}
	end()
	if strings.Contains(log.String(), "discard") || strings.Contains(log.String(), "UNKNOWN") {
		t.Errorf("the main log:\n%s", log)
	}
	return dir
}
