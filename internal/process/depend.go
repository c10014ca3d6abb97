package process

import (
	"slices"
	"strings"
)

// Condition says what has to hold of a process that another one depends on.
type Condition int

// The conditions.
const (
	OnReady     Condition = iota // it is RUNNING and, where somebody looks, found ready (the default)
	OnStarted                    // it is RUNNING
	OnCompleted                  // it has ended by itself with one of its exit codes, and is EXITED
)

// Conditions lists them, the default first.
var Conditions = []Condition{OnReady, OnStarted, OnCompleted}

// String returns the condition as a configuration file spells it.
func (c Condition) String() string { return [...]string{"ready", "started", "completed"}[c] }

// ParseCondition is the opposite of String.
func ParseCondition(word string) (Condition, bool) {
	for _, c := range Conditions {
		if c.String() == word {
			return c, true
		}
	}
	return 0, false
}

// Dependency says what has to hold before a process starts. Supervisor has nothing like it.
type Dependency struct {
	// A process, or all those of a group. Where no group has the name of a whole one, it is a program, which is a member of some other group.
	Name Namespec
	On   Condition
}

// String returns the dependency as a configuration file spells it.
func (d Dependency) String() string {
	_, condition := ParseCondition(d.Name.Process)
	if d.On == OnReady && !condition {
		return d.Subject()
	}
	return d.Subject() + ":" + d.On.String()
}

// Subject returns what it is about: the name of a group or program, or group:process.
func (d Dependency) Subject() string {
	if d.Name.WholeGroup() {
		return d.Name.Group
	}
	return d.Name.Group + ":" + d.Name.Process
}

// Means reports whether a dependency is about a process, which a program defines. grouped: there is a group of the name that the dependency has.
func (d Dependency) Means(p Namespec, program string, grouped bool) bool {
	switch {
	case !d.Name.WholeGroup():
		return p == d.Name
	case grouped:
		return p.Group == d.Name.Group
	}
	return program == d.Name.Group
}

// DependsText returns a list of dependencies as a configuration file spells it.
func DependsText(list []Dependency) string {
	words := make([]string, len(list))
	for i, d := range list {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}

// Dependent is a program of a group that depends on something.
type Dependent struct {
	Group, Program string
	Origin         Origin // of the program
}

// String returns the shortest name that tells it from others: that of a program that is a group of its own, or group:program.
func (d Dependent) String() string {
	if d.Group == d.Program {
		return d.Program
	}
	return d.Group + ":" + d.Program
}

// Cycle returns programs that depend on one another in a circle, each on the next and the last on the first; nil when there are none. Who depends on
// what says his program: all its processes do.
func Cycle(groups []GroupSpec) []Dependent {
	c := cycles{groups: map[string]bool{}, of: map[string][]*programNode{}}
	for _, g := range groups {
		c.groups[g.Name] = true
	}
	for _, g := range groups {
		c.add(g)
	}
	for _, n := range c.nodes {
		if way := c.visit(n, nil); way != nil {
			return way
		}
	}
	return nil
}

// programNode is a program on a search for cycles.
type programNode struct {
	Dependent
	needs []Dependency
	names map[string]bool // of its processes
	state int             // 0: not visited; 1: being visited; 2: it leads to no cycle
}

// cycles is such a search.
type cycles struct {
	groups map[string]bool
	nodes  []*programNode
	of     map[string][]*programNode // by group and, where no group has that name, by program
}

func (c *cycles) add(g GroupSpec) {
	own := map[string]*programNode{}
	for _, p := range g.Processes {
		n := own[p.Program]
		if n == nil {
			n = &programNode{Dependent: Dependent{g.Name, p.Program, p.Origin}, needs: p.DependsOn, names: map[string]bool{}}
			own[p.Program] = n
			c.nodes = append(c.nodes, n)
			c.of[g.Name] = append(c.of[g.Name], n)
			if !c.groups[p.Program] {
				c.of[p.Program] = append(c.of[p.Program], n)
			}
		}
		n.names[p.Name] = true
	}
}

// visit follows what a program depends on, depth first. way leads to it.
func (c *cycles) visit(n *programNode, way []*programNode) []Dependent {
	switch n.state {
	case 2:
		return nil
	case 1:
		var out []Dependent
		for _, o := range way[slices.Index(way, n):] {
			out = append(out, o.Dependent)
		}
		return out
	}
	n.state = 1
	way = append(way, n)
	for _, d := range n.needs {
		for _, o := range c.of[d.Name.Group] {
			if !d.Name.WholeGroup() && (o.Group != d.Name.Group || !o.names[d.Name.Process]) {
				continue
			}
			if found := c.visit(o, way); found != nil {
				return found
			}
		}
	}
	n.state = 2
	return nil
}

// CycleText renders a cycle: a -> b -> a.
func CycleText(cycle []Dependent) string {
	var words []string
	for _, d := range append(slices.Clone(cycle), cycle[0]) {
		words = append(words, d.String())
	}
	return strings.Join(words, " -> ")
}

// Essential says whether the end of a process is that of everything.
type Essential int

// The values of the option essential.
const (
	EssentialNot   Essential = iota // it is not (the default)
	EssentialExit                   // when it has ended and is not started again, or is given up
	EssentialFatal                  // when it is given up
)

// String returns the value as a configuration file spells it.
func (e Essential) String() string { return [...]string{"false", "on_exit", "on_fatal"}[e] }

// Shell returns the exit code that a shell would report: the code, or 128 and the number of the signal; 1 where it is not known.
func (e ExitStatus) Shell() int {
	switch {
	case e.Unknown:
		return 1
	case e.Signal != 0:
		return 128 + int(e.Signal)
	}
	return e.Code
}
