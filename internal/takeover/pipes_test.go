package takeover

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 = a new one")
	pipesN   = flag.Int("pipes.n", 2000, "number of random supervisords whose pipes are told apart")
)

// world makes pipes as a supervisord does on a machine with several CPUs.
type world struct {
	*rand.Rand
	open   map[int]bool // descriptors
	next   []uint64     // for each CPU the last inode number it gave
	batch  uint64       // the first number of the next batch
	cpu    int
	wander float64 // how likely it is that supervisord goes on on another CPU
	tick   uint64
}

// truth is a process with what its pipes really are.
type truth struct {
	spawned
	stdin, stdout, stderr pipe
}

func newWorld(r *rand.Rand, wander float64) *world {
	w := &world{Rand: r, open: map[int]bool{0: true, 1: true, 2: true, 3: true}, next: make([]uint64, 1+r.IntN(4)), wander: wander}
	return w
}

func (w *world) inode() uint64 {
	if w.Float64() < w.wander {
		w.cpu = w.IntN(len(w.next))
	}
	for range w.IntN(3) { // others take numbers, too
		w.number()
	}
	return w.number()
}

func (w *world) number() uint64 {
	n := &w.next[w.cpu]
	if *n%inodeBatch == 0 {
		*n = w.batch
		w.batch += inodeBatch
	}
	*n++
	return *n
}

func (w *world) descriptor() int {
	for fd := 0; ; fd++ {
		if !w.open[fd] {
			w.open[fd] = true
			return fd
		}
	}
}

// spawn makes a process. Nothing is closed before its last pipe is made.
func (w *world) spawn(redirect bool) truth {
	p := truth{spawned: spawned{outputs: 2}}
	w.tick += uint64(w.IntN(2))
	p.start = w.tick
	var theirs []int
	n := w.inode()
	theirs = append(theirs, w.descriptor())
	p.stdin = pipe{w.descriptor(), n}
	n = w.inode()
	p.stdout = pipe{w.descriptor(), n}
	theirs = append(theirs, w.descriptor())
	if redirect {
		p.outputs = 1
	} else {
		n = w.inode()
		p.stderr = pipe{w.descriptor(), n}
		theirs = append(theirs, w.descriptor())
	}
	for _, fd := range theirs {
		delete(w.open, fd)
	}
	return p
}

func (w *world) end(p truth) {
	for _, end := range []pipe{p.stdin, p.stdout, p.stderr} {
		if end.inode != 0 {
			delete(w.open, end.fd)
		}
	}
}

// TestAssignRandom checks, for random supervisords whose processes have done all kinds of things to their descriptors, that what is told is right.
func TestAssignRandom(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	asked, untold := 0, 0
	for n := range *pipesN {
		wander := []float64{0, 0.01, 0.3}[n%3]
		processes, outputs := randomSupervisord(r, wander)
		var given []spawned
		for i := range processes {
			given = append(given, processes[i].spawned)
		}
		for i, a := range assign(given, outputs) {
			p := processes[i]
			asked++
			if a.problem != "" {
				untold++
				continue
			}
			checkEnd(t, n, i, "stdout", a.stdout, p.stdout, outputs)
			checkEnd(t, n, i, "stderr", a.stderr, p.stderr, outputs)
		}
	}
	// With a CPU that changes at every third pipe nearly nothing can be told of processes that have moved their outputs.
	if untold*10 > asked {
		t.Errorf("of %d processes %d could not be told", asked, untold)
	}
	t.Logf("of %d processes %d could not be told", asked, untold)
}

// checkEnd checks that what is told is right, and that nothing is left out that somebody writes to.
func checkEnd(t *testing.T, n, i int, what string, got int, want pipe, outputs []output) {
	t.Helper()
	if got >= 0 && outputs[got].pipe != want {
		t.Errorf("supervisord %d, process %d: its %s is %v, not %v", n, i, what, want, outputs[got].pipe)
	}
	if got >= 0 || want.inode == 0 {
		return
	}
	for _, o := range outputs {
		if o.pipe == want && o.live {
			t.Errorf("supervisord %d, process %d: nobody has its %s %v, to which somebody writes", n, i, what, want)
		}
	}
}

// randomSupervisord starts and ends processes, and lets those that are left move their outputs.
func randomSupervisord(r *rand.Rand, wander float64) (processes []truth, outputs []output) {
	w := newWorld(r, wander)
	for range 1 + r.IntN(30) {
		if len(processes) > 0 && r.IntN(4) == 0 {
			i := r.IntN(len(processes))
			w.end(processes[i])
			processes = slices.Delete(processes, i, i+1)
			continue
		}
		processes = append(processes, w.spawn(r.IntN(4) == 0))
	}
	r.Shuffle(len(processes), func(i, j int) { processes[i], processes[j] = processes[j], processes[i] })
	moved := r.Float64()
	for i := range processes {
		p := &processes[i]
		if p.spawned.stdin = &p.stdin; r.IntN(5) == 0 {
			p.spawned.stdin = nil
		}
		for _, end := range []pipe{p.stdout, p.stderr} {
			o := output{pipe: end, writers: []int{i}, live: true}
			switch {
			case end.inode == 0:
				continue
			case r.Float64() > moved:
			case r.IntN(10) == 0 && len(processes) > 1: // another writes to it, too
				o.writers = []int{i, (i + 1) % len(processes)}
				slices.Sort(o.writers)
			case r.IntN(10) == 0: // a daemon that belongs to nobody has it
				o.writers = nil
			default:
				o.writers, o.live = nil, false
			}
			outputs = append(outputs, o)
		}
	}
	r.Shuffle(len(outputs), func(i, j int) { outputs[i], outputs[j] = outputs[j], outputs[i] })
	return processes, outputs
}

// in is a story in which the numbers are easy to follow.
type in struct {
	processes []spawned
	outputs   []output
}

// TestAssign checks the cases that the rules are made for.
func TestAssign(t *testing.T) {
	for name, c := range map[string]struct {
		in
		want []assignment
	}{
		"as they were made": {in{[]spawned{{1, 2, &pipe{5, 100}}}, []output{{pipe{6, 101}, []int{0}, true}, {pipe{8, 102}, []int{0}, true}}},
			[]assignment{{0, 1, ""}}},
		"exec x 1>&2": {in{[]spawned{{1, 2, &pipe{5, 100}}}, []output{{pipe{6, 101}, nil, false}, {pipe{8, 102}, []int{0}, true}}},
			[]assignment{{0, 1, ""}}},
		"exec x 2>&1": {in{[]spawned{{1, 2, &pipe{5, 100}}}, []output{{pipe{6, 101}, []int{0}, true}, {pipe{8, 102}, nil, false}}},
			[]assignment{{0, 1, ""}}},
		// Descriptors alone would allow the first to be the second's standard output, and the other way round.
		"two with 1>&2, by the number": {in{[]spawned{{1, 2, &pipe{5, 100}}, {1, 2, &pipe{7, 103}}},
			[]output{{pipe{8, 101}, nil, false}, {pipe{10, 102}, []int{0}, true}, {pipe{9, 104}, nil, false}, {pipe{11, 105}, []int{1}, true}}},
			[]assignment{{0, 1, ""}, {2, 3, ""}}},
		// In batches of their own each could be made after the third process: its start tells.
		"other batches": {in{[]spawned{{1, 2, &pipe{5, 1100}}, {2, 2, &pipe{7, 5000}}},
			[]output{{pipe{8, 101}, nil, false}, {pipe{10, 102}, []int{0}, true}, {pipe{9, 104}, nil, false}, {pipe{11, 105}, []int{1}, true}}},
			[]assignment{{0, 1, ""}, {2, 3, ""}}},
		"a daemon has it": {in{[]spawned{{1, 2, &pipe{5, 100}}}, []output{{pipe{6, 101}, nil, true}, {pipe{8, 102}, []int{0}, true}}},
			[]assignment{{0, 1, ""}}},
		"nobody writes": {in{[]spawned{{1, 2, nil}}, []output{{pipe{6, 101}, nil, false}, {pipe{8, 102}, nil, false}}},
			[]assignment{{-1, -1, ""}}},
		"redirected": {in{[]spawned{{1, 1, &pipe{5, 100}}}, []output{{pipe{6, 101}, []int{0}, true}}},
			[]assignment{{0, -1, ""}}},
		"standard input of supervisord": {in{[]spawned{{1, 2, nil}}, []output{{pipe{0, 9000}, nil, true}, {pipe{6, 101}, nil, false}, {pipe{8, 102}, []int{0}, true}}},
			[]assignment{{1, 2, ""}}},
		"made before its standard input, by the descriptor": {in{[]spawned{{1, 2, &pipe{7, 1}}},
			[]output{{pipe{5, 2000}, nil, false}, {pipe{10, 4000}, []int{0}, true}, {pipe{12, 6000}, nil, false}}},
			[]assignment{{1, 2, ""}}},
		"made before its standard input, by the number": {in{[]spawned{{1, 2, &pipe{7, 100}}},
			[]output{{pipe{8, 101}, nil, false}, {pipe{10, 102}, []int{0}, true}, {pipe{12, 99}, nil, false}}},
			[]assignment{{0, 1, ""}}},
		// 2010 was made after 2000, and the first process was started before the second.
		"by the start": {in{[]spawned{{1, 2, nil}, {2, 2, nil}},
			[]output{{pipe{6, 4000}, nil, false}, {pipe{8, 10}, []int{0}, true}, {pipe{9, 2000}, []int{1}, true}, {pipe{10, 2010}, nil, false}}},
			[]assignment{{0, 1, ""}, {2, 3, ""}}},
		"either of two": {in{[]spawned{{1, 2, nil}, {1, 2, nil}},
			[]output{{pipe{6, 1}, nil, false}, {pipe{8, 2000}, []int{0}, true}, {pipe{9, 4000}, []int{1}, true}, {pipe{11, 6000}, nil, false}}},
			[]assignment{{-1, -1, "cannot be told"}, {-1, -1, "cannot be told"}}},
		"too many": {in{[]spawned{{1, 1, nil}}, []output{{pipe{6, 101}, []int{0}, true}, {pipe{8, 102}, []int{0}, true}}},
			[]assignment{{-1, -1, "more pipes"}}},
		"too few": {in{[]spawned{{1, 2, nil}}, []output{{pipe{6, 101}, []int{0}, true}}},
			[]assignment{{-1, -1, "no pipe"}}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, got := range assign(c.processes, c.outputs) {
				want := c.want[i]
				if (got.problem == "") != (want.problem == "") || !strings.Contains(got.problem, want.problem) {
					t.Errorf("process %d: %+v, want %+v", i, got, want)
				} else if got.problem == "" && got != want {
					t.Errorf("process %d: %+v, want %+v", i, got, want)
				}
			}
		})
	}
}
