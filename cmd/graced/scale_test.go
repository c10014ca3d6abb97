package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
)

// TestScaleTime compares the command gracectl scale, from its start until everything is as it says, with ten bare forks, or ten TERMs and waits, of the
// same program in the same run. Machines are shared, so the best of some tries counts.
func TestScaleTime(t *testing.T) {
	r := newRig(t, "[program:w]\ncommand=sleep 1000\nprocess_name=%(program_name)s_%(process_num)d\nnumprocs=100\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n")
	r.until("all run", func() bool {
		list, err := r.Processes(t.Context())
		return err == nil && len(list) == 100 && list[99].PID != 0
	})
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	scale := func(to string) time.Duration {
		t.Helper()
		began := time.Now()
		out, err := exec.Command(filepath.Join(r.bin, "gracectl"), "-c", filepath.Join(r.dir, "s.conf"), "scale", "w="+to).CombinedOutput()
		took := time.Since(began)
		if err != nil || !strings.Contains(string(out), "done in") {
			t.Fatalf("scale w=%s: %v\n%s", to, err, out)
		}
		return took
	}
	bare := func() (fork, stop time.Duration) {
		began := time.Now()
		var pids []int
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		for range 10 {
			pid, err := syscall.ForkExec(sleep, []string{"sleep", "1000"}, &syscall.ProcAttr{Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}})
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		fork = time.Since(began)
		began = time.Now()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGTERM) // it is a child of ours that nobody has waited for
		}
		for _, pid := range pids {
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		return fork, time.Since(began)
	}
	const tries, most = 40, 20 * time.Millisecond
	up, down := time.Hour, time.Hour
	for range tries {
		forks, _ := bare()
		up = min(up, scale("110")-forks)
		scale("100")
		_, ends := bare()
		down = min(down, scale("90")-ends)
		scale("100")
		if up <= most && down <= most {
			break
		}
	}
	t.Logf("beyond the bare work: %v up, %v down", up.Round(100*time.Microsecond), down.Round(100*time.Microsecond))
	if up > most || down > most {
		t.Errorf("scale took %v longer than ten forks, %v longer than ten ends; at most %v is right", up, down, most)
	}
	if list, err := r.Operations(t.Context()); err != nil || list[len(list)-1].State != control.OperationDone {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestPlanOfMany plans for 1,000 programs in 1,000 files, of which one has changed. Machines are shared, so the best of some tries counts.
func TestPlanOfMany(t *testing.T) {
	r := newRig(t, "[include]\nfiles=conf.d/*.conf\n")
	if err := os.Mkdir(filepath.Join(r.dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	program := func(i int, command string) {
		t.Helper()
		name := fmt.Sprintf("p%04d", i)
		text := "[program:" + name + "]\ncommand=" + command + "\nautostart=false\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
		if err := os.WriteFile(filepath.Join(r.dir, "conf.d", name+".conf"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		program(i, "sleep 1000")
	}
	op, err := r.Update(t.Context(), control.UpdateRequest{})
	for err == nil && !op.State.Over() {
		op, err = r.Operation(t.Context(), op.ID, op.Count)
	}
	if err != nil || op.State != control.OperationDone || op.Steps != 1000 {
		t.Fatalf("%v, %v", op.State, err)
	}
	program(7, "sleep 1001")
	best := time.Hour
	for range 5 {
		began := time.Now()
		out, err := exec.Command(filepath.Join(r.bin, "gracectl"), "-c", filepath.Join(r.dir, "s.conf"), "plan").CombinedOutput()
		if best = min(best, time.Since(began)); err != nil || !strings.Contains(string(out), "sleep 1000 -> sleep 1001   respawn   ") {
			t.Fatalf("%v\n%.2000s", err, out)
		}
	}
	t.Logf("a plan for 1,000 programs took %v", best.Round(time.Millisecond))
	if best > time.Second {
		t.Errorf("a plan for 1,000 programs took %v, at most 1 s is right", best)
	}
}
