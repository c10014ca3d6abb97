package core_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// many makes a machine with n RUNNING processes in groups of 100.
func many(n int) (s *core.Supervisor, inc []process.Incarnation) {
	s = core.New(core.Options{Strict: true, Quirks: core.Quirks{NoRestartFloor: true}})
	var groups []process.GroupSpec
	for i := range n {
		if i%100 == 0 {
			groups = append(groups, process.GroupSpec{Name: "g" + strconv.Itoa(i/100)})
		}
		g := &groups[len(groups)-1]
		g.Processes = append(g.Processes, process.Spec{
			Name: "p" + strconv.Itoa(i), Autostart: true, Autorestart: process.RestartAlways, StartSecs: 1, StopWaitSecs: 10,
		})
	}
	s.Step(core.Now{}, core.Command{Do: core.AddGroups{Groups: groups}})
	for i := range n {
		s.Step(core.Now{}, core.Spawned{ID: process.ID(i + 1), Incarnation: 1, PID: i + 1})
	}
	s.Step(core.Now{Mono: time.Second}, core.Tick{})
	inc = make([]process.Incarnation, n)
	for i := range inc {
		inc[i] = 1
	}
	return s, inc
}

// BenchmarkStep measures a step over 10,000 processes that end and are started again: each of them takes an end, a spawn and a deadline.
func BenchmarkStep(b *testing.B) {
	const n = 10_000
	s, inc := many(n)
	now := time.Second
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		id := process.ID(i/2%n + 1)
		now += 200 * time.Microsecond
		if i%2 == 0 {
			s.Step(core.Now{Mono: now}, core.Exited{ID: id, Incarnation: inc[id-1]})
			inc[id-1]++
			continue
		}
		s.Step(core.Now{Mono: now}, core.Spawned{ID: id, Incarnation: inc[id-1], PID: i})
	}
}

// BenchmarkStatuses measures the snapshot of 10,000 processes.
func BenchmarkStatuses(b *testing.B) {
	s, _ := many(10_000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if len(s.Statuses()) != 10_000 {
			b.Fatal("processes are missing")
		}
	}
}

// BenchmarkShutdown measures the stop of 10,000 processes, all exits included.
func BenchmarkShutdown(b *testing.B) {
	const n = 10_000
	for range b.N {
		b.StopTimer()
		s, _ := many(n)
		b.StartTimer()
		todo := s.Step(core.Now{Mono: 2 * time.Second}, core.Command{Do: core.Quit{}})
		halted := false
		for len(todo) > 0 {
			e := todo[0]
			todo = todo[1:]
			switch e := e.(type) {
			case core.Signal:
				todo = append(todo, s.Step(core.Now{Mono: 2 * time.Second}, core.Signalled{ID: e.ID, Incarnation: e.Incarnation, Token: e.Token})...)
				todo = append(todo, s.Step(core.Now{Mono: 2 * time.Second}, core.Exited{ID: e.ID, Incarnation: e.Incarnation})...)
			case core.Halt:
				halted = true
			}
		}
		if !halted {
			b.Fatal("no halt")
		}
	}
}
