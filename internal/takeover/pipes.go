package takeover

import "slices"

// A process's fd 1 does not tell which pipe is its standard output: `exec x 1>&2` has made it the other one. What holds always is how supervisord
// makes the pipes of a process, since it makes one process after the other and in one thread: first that of the standard input, then of the standard output,
// then of the standard error, and closes nothing in between. So within a process its descriptors ascend. The numbers of the pipes do, too, as long as they
// come out of the same batch, and no pipe of another process is in between.

// inodeBatch is how many inode numbers each CPU takes at a time for what has no file system (Linux, get_next_ino). Within such a batch the order of
// the numbers is that of the making.
const inodeBatch = 1024

// pipe is supervisord's end of a pipe.
type pipe struct {
	fd    int
	inode uint64
}

func (p pipe) batch() uint64 { return (p.inode - 1) / inodeBatch }

// output is supervisord's end of a pipe that it reads.
type output struct {
	pipe
	writers []int // the processes that hold the other end, by their index
	live    bool  // somebody holds it, or may
}

// spawned is what is known of a process and its pipes.
type spawned struct {
	start   uint64 // ticks: processes that started in the same tick have no known order
	outputs int    // 2, or 1 with redirect_stderr
	stdin   *pipe  // nil when it does not read from it
}

// assignment tells the outputs of a process by their index, -1 = one that nobody writes to any more and that could be that of another process
// as well.
type assignment struct {
	stdout, stderr int // stderr is -1 with redirect_stderr, too
	problem        string
}

// puzzle is the question whose the pipes are.
type puzzle struct {
	processes []spawned
	outputs   []output
	answers   [][][]int // for each process the ways it can be: its outputs, in the order of their descriptors
}

// assign answers it.
func assign(processes []spawned, outputs []output) []assignment {
	z := puzzle{processes: processes, outputs: outputs, answers: make([][][]int, len(processes))}
	out := make([]assignment, len(processes))
	for p := range processes {
		z.answers[p], out[p].problem = z.candidates(p)
	}
	for z.prune() {
	}
	for p := range processes {
		if out[p].problem == "" {
			out[p] = z.conclude(p)
		}
	}
	return out
}

// certain returns the outputs that the process, and no other, writes to.
func (z *puzzle) certain(p int) (its []int) {
	for i, o := range z.outputs {
		if len(o.writers) == 1 && o.writers[0] == p {
			its = append(its, i)
		}
	}
	return its
}

// possible returns those that may be its own: it is one of several that write to them, or nobody does. The first three descriptors are what
// supervisord was started with.
func (z *puzzle) possible(p int) (its []int, live bool) {
	for i, o := range z.outputs {
		if len(o.writers) > 1 && slices.Contains(o.writers, p) || len(o.writers) == 0 && o.fd > 2 {
			its = append(its, i)
			live = live || o.live
		}
	}
	return its, live
}

// candidates returns the ways the outputs of a process can be, as far as its own pipes and the certain ones of the others tell. No way at all
// without a problem means that it does not matter: nobody writes to any of them.
func (z *puzzle) candidates(p int) (ways [][]int, problem string) {
	its := z.certain(p)
	others, live := z.possible(p)
	switch missing := z.processes[p].outputs - len(its); {
	case missing < 0:
		return nil, "it writes to more pipes than it was given"
	case missing == 0:
		ways = [][]int{its}
	case len(its) == 0 && !live:
		return nil, ""
	case missing == 1:
		for _, o := range others {
			ways = append(ways, append(slices.Clone(its), o))
		}
	default:
		for i, o := range others {
			for _, q := range others[i+1:] {
				ways = append(ways, []int{o, q})
			}
		}
	}
	for _, way := range ways {
		slices.SortFunc(way, func(a, b int) int { return z.outputs[a].fd - z.outputs[b].fd })
	}
	ways = slices.DeleteFunc(ways, func(way []int) bool { return !z.fits(p, way) })
	if len(ways) == 0 {
		problem = "no pipe of supervisord fits what it writes to"
	}
	return ways, problem
}

// block returns the pipes of a process in the order of their making.
func (z *puzzle) block(p int, way []int) []pipe {
	var b []pipe
	if s := z.processes[p].stdin; s != nil {
		b = append(b, *s)
	}
	for _, o := range way {
		b = append(b, z.outputs[o].pipe)
	}
	return b
}

// fits reports whether the pipes can have been made in this order, and none of another process in between.
func (z *puzzle) fits(p int, way []int) bool {
	b := z.block(p, way)
	for i, first := range b {
		for _, then := range b[i+1:] {
			if then.fd < first.fd || then.batch() == first.batch() && then.inode < first.inode {
				return false
			}
		}
	}
	for q := range z.processes {
		if q != p && !z.apart(p, q, b, z.block(q, z.certain(q))) {
			return false
		}
	}
	return true
}

// apart reports whether the pipes of two processes can have been made one block after the other, in the order in which the processes were started.
func (z *puzzle) apart(p, q int, its, others []pipe) bool {
	before := z.processes[p].start < z.processes[q].start
	after := z.processes[p].start > z.processes[q].start
	for _, a := range its {
		for _, b := range others {
			if a.batch() == b.batch() {
				before = before || a.inode <= b.inode
				after = after || a.inode >= b.inode
			}
		}
	}
	return !before || !after
}

// prune removes the ways of processes that leave another process none. It reports whether there were any.
func (z *puzzle) prune() (found bool) {
	for p := range z.answers {
		n := len(z.answers[p])
		if n < 2 {
			continue
		}
		z.answers[p] = slices.DeleteFunc(z.answers[p], func(way []int) bool { return !z.supported(p, way) })
		found = found || len(z.answers[p]) < n
	}
	return found
}

// supported reports whether every other process is left a way.
func (z *puzzle) supported(p int, way []int) bool {
	b := z.block(p, way)
	for q, ways := range z.answers {
		if q == p || len(ways) == 0 {
			continue
		}
		if !slices.ContainsFunc(ways, func(other []int) bool { return z.apart(p, q, b, z.block(q, other)) }) {
			return false
		}
	}
	return true
}

// conclude returns what all ways of a process that are left agree on.
func (z *puzzle) conclude(p int) assignment {
	a := assignment{stdout: -1, stderr: -1}
	var sure bool
	if a.stdout, sure = z.agreed(p, 0); sure && z.processes[p].outputs == 2 {
		a.stderr, sure = z.agreed(p, 1)
	}
	if !sure {
		return assignment{stdout: -1, stderr: -1, problem: "which of supervisord's pipes are its standard output and standard error cannot be told"}
	}
	return a
}

// agreed returns the n-th output of a process, -1 if it can be one of several that nobody writes to. It reports false if it matters which.
func (z *puzzle) agreed(p, n int) (o int, sure bool) {
	if len(z.answers[p]) == 0 {
		return -1, true
	}
	first := z.answers[p][0][n]
	same, live := true, false
	for _, way := range z.answers[p] {
		same = same && way[n] == first
		live = live || z.outputs[way[n]].live
	}
	switch {
	case same:
		return first, true
	case live:
		return -1, false
	}
	return -1, true
}
