package store

import (
	"fmt"
	"testing"

	"github.com/graced/graced/internal/process"
)

// BenchmarkAppend measures one change on a real disk: what is synced, and what is only written.
func BenchmarkAppend(b *testing.B) {
	s, _, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.Run("durable", func(b *testing.B) {
		for b.Loop() {
			if err := s.SetMark(Mark{Group: "web", Process: "web_0", Kind: Hold, Who: "anna"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("written", func(b *testing.B) {
		for b.Loop() {
			if err := s.SetOperation(Operation{ID: 1, Kind: "update", Who: "anna"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMark measures what the daemon asks most.
func BenchmarkMark(b *testing.B) {
	s, _, _ := Open("", nil)
	for i := range 1000 {
		if err := s.SetMark(Mark{Group: "web", Process: fmt.Sprint("web_", i), Kind: Hold}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		s.Mark(process.Namespec{Group: "web", Process: "web_500"})
	}
}

// BenchmarkHistory measures what 100 generations of 100 groups with 10 processes each cost, of which each differs from the last in one group.
func BenchmarkHistory(b *testing.B) {
	dir := b.TempDir()
	s, _, err := Open(dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	var groups []process.GroupSpec
	for g := range 100 {
		group := process.GroupSpec{Name: fmt.Sprint("group", g)}
		for p := range 10 {
			group.Processes = append(group.Processes, process.Spec{Name: fmt.Sprint("process", p), Command: "/usr/bin/something --with arguments"})
		}
		groups = append(groups, group)
	}
	n := 0
	next := func() {
		groups[n%100].Priority = n
		if n++; second(s.AddGeneration(Generation{Groups: groups})) != nil {
			b.Fatal(n)
		}
	}
	for range 100 {
		next()
	}
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			next()
		}
	})
	b.Run("compact", func(b *testing.B) {
		for b.Loop() {
			if err := s.Compact(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			if s, _, err = Open(dir, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	s.Close()
}
