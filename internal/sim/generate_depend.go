package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/graced/graced/internal/process"
)

// GenerateDependent makes the story of a seed in which programs depend on one another: an update with commands of others in the middle, and starts
// and stops of everything. No circle is among the dependencies, whichever of the old and the new ones are in force.
func GenerateDependent(seed uint64) Story {
	r := &dice{rand.New(rand.NewPCG(seed, 0xdeb5))}
	st := Story{Seed: seed, Lives: map[process.Namespec][]Life{}, End: 40*time.Second + 500*time.Microsecond}
	sc := GenerateUpdate(seed, true)
	d := newDependents(r, sc)
	d.decorate(sc.Was)
	d.decorate(sc.Is)
	st.fromUpdate(r, sc)
	for range r.between(1, 8) {
		c := Command{At: r.Int64N(40 * second), Wait: r.one(2)}
		switch r.IntN(4) {
		case 0:
			c.Op = "stopAllProcesses"
		case 1:
			c.Op = "startAllProcesses"
		default:
			c.Op, c.Name, c.Desired, c.AtOnce = "act", pick(r, "stop", "restart", "restart", "start"), []string{"all"}, pick(r, 0, 0, 1, 2)
		}
		st.Commands = append(st.Commands, c)
	}
	for range r.between(0, 6) {
		c := Command{At: r.Int64N(40 * second), Op: pick(r, "mark", "signalProcess", "signalProcess", "startProcess", "stopProcess", "hurry"), Name: d.any(), Wait: r.one(2)}
		if c.Signal = pick(r, 0, 1, 2); c.Op == "signalProcess" {
			c.Signal = 9
		}
		st.Commands = append(st.Commands, c)
	}
	for i := range st.Commands {
		if c := &st.Commands[i]; c.Op != "cancel" && c.Cancel == 0 {
			c.Req = uint64(i + 1)
		}
	}
	return st
}

// ranked is a program of a group. It depends on such of a lower rank alone.
type ranked struct{ group, program string }

// dependents gives programs what they depend on.
type dependents struct {
	*dice
	rank  map[ranked]int
	names []process.Namespec
	of    map[process.Namespec]ranked
	needs map[ranked][]process.Dependency
}

func newDependents(r *dice, sc UpdateScenario) *dependents {
	d := &dependents{dice: r, rank: map[ranked]int{}, of: map[process.Namespec]ranked{}, needs: map[ranked][]process.Dependency{}}
	for _, groups := range [][]process.GroupSpec{sc.Was, sc.Is} {
		for _, g := range groups {
			for _, p := range g.Processes {
				k := ranked{g.Name, p.Program}
				if _, known := d.rank[k]; !known {
					d.rank[k] = r.IntN(100)*1000 + len(d.rank)
				}
				n := process.Namespec{Group: g.Name, Process: p.Name}
				if _, known := d.of[n]; !known {
					d.names = append(d.names, n)
				}
				d.of[n] = k
			}
		}
	}
	return d
}

// any names one of the processes, also one that is not there.
func (d *dependents) any() string {
	if len(d.names) == 0 {
		return "nobody"
	}
	return pick(d.dice, d.names...).String()
}

// decorate gives all programs of some groups their dependencies, some of them others than before.
func (d *dependents) decorate(groups []process.GroupSpec) {
	again := map[ranked]bool{}
	for _, g := range groups {
		for i := range g.Processes {
			p := &g.Processes[i]
			k := ranked{g.Name, p.Program}
			if list, known := d.needs[k]; !again[k] && (!known || len(list) > 0 && d.one(5)) {
				d.needs[k] = d.choose(k)
			}
			again[k] = true
			p.DependsOn = present(groups, d.needs[k])
			if d.rank[k]%12 == 0 {
				p.Essential = process.Essential(1 + d.rank[k]/12%2)
			}
			p.Autostart = p.Autostart || d.rank[k]%3 > 0
		}
	}
}

// present returns the dependencies on something that is there: no file says others.
func present(groups []process.GroupSpec, list []process.Dependency) (out []process.Dependency) {
	for _, d := range list {
		grouped := slices.ContainsFunc(groups, func(g process.GroupSpec) bool { return g.Name == d.Name.Group })
		there := false
		for _, g := range groups {
			for _, p := range g.Processes {
				there = there || d.Means(process.Namespec{Group: g.Name, Process: p.Name}, p.Program, grouped)
			}
		}
		if there {
			out = append(out, d)
		}
	}
	return out
}

func (d *dependents) choose(k ranked) (list []process.Dependency) {
	seen := map[process.Namespec]bool{}
	for range d.between(0, 3) {
		n := pick(d.dice, d.names...)
		name := n
		switch d.IntN(4) {
		case 0, 1:
			name = process.Namespec{Group: n.Group}
		case 2:
			name = process.Namespec{Group: d.of[n].program}
		}
		on := pick(d.dice, process.OnReady, process.OnReady, process.OnStarted, process.OnStarted, process.OnCompleted)
		if !seen[name] && d.below(name, d.rank[k]) {
			seen[name] = true
			list = append(list, process.Dependency{Name: name, On: on})
		}
	}
	return list
}

// below reports whether all that a name may mean is below a rank.
func (d *dependents) below(name process.Namespec, rank int) bool {
	for n, k := range d.of {
		if n == name || name.WholeGroup() && (n.Group == name.Group || k.program == name.Group) {
			if d.rank[k] >= rank {
				return false
			}
		}
	}
	return true
}
