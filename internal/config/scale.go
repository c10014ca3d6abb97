package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// Scaled returns the configuration with other numbers of processes: nums holds, by program, the process_num of each process there shall be,
// in ascending order, whatever numprocs says. Programs that the files don't have are passed over. The error is an *Error: a program of several
// processes needs %(process_num) in its process_name.
func (c *Config) Scaled(nums map[string][]int) (*Config, error) {
	if len(nums) == 0 {
		return c, nil
	}
	l := *c.loader
	l.scaled, l.warnings, l.warned = maps.Clone(nums), nil, map[Warning]bool{}
	groups, err := l.groups(c.Graced.Quirks.BootConfigOrder)
	if err != nil {
		return nil, err
	}
	out := *c
	out.loader, out.Groups = &l, groups
	return &out, nil
}

// Nums returns the process_num of each process that a program has by what the files say, or, with Scaled, by that; nil without such a program.
func (c *Config) Nums(program string) []int {
	var nums []int
	for _, g := range c.Groups {
		for _, s := range g.Processes {
			if s.Program == program && !slices.Contains(nums, s.Num) {
				nums = append(nums, s.Num)
			}
		}
	}
	slices.Sort(nums)
	return nums
}

// CountInFile returns the number of processes that the files say a program has, whatever Scaled has made of it; 0 without such a program.
func (c *Config) CountInFile(program string) int {
	l := *c.loader
	if _, ok := l.scaled[program]; !ok {
		return len(c.Nums(program))
	}
	l.scaled, l.warnings, l.warned = nil, nil, map[Warning]bool{}
	groups, err := l.groups(c.Graced.Quirks.BootConfigOrder)
	if err != nil {
		return 0
	}
	return len((&Config{Groups: groups}).Nums(program))
}

// numsOf returns the process_num of each process of a program whose section says numprocs and numprocs_start.
func (p *programReader) numsOf() []int {
	nums, ok := p.scaled[p.program]
	if !ok {
		nums = make([]int, max(p.numprocs, 0))
		for i := range nums {
			nums[i] = p.first + i
		}
	}
	if p.spare == 0 {
		return nums
	}
	next := p.first
	if len(nums) > 0 {
		next = slices.Max(nums) + 1
	}
	spares := make([]int, p.spare)
	for i := range spares {
		spares[i] = next + i
	}
	return spares
}

// Spares returns so many processes of a program, as members of a group, that are none of those that the files say: with their settings, and with
// numbers after theirs. A name that is taken is passed over. Without the program there are none. The error is an *Error.
func (c *Config) Spares(group, program string, n int, taken func(name string) bool) ([]process.Spec, error) {
	l := *c.loader
	l.warnings, l.warned = nil, map[Warning]bool{}
	for l.spare = n; ; l.spare *= 2 {
		specs, err := l.sparesOf(group, program)
		if err != nil {
			return nil, err
		}
		free := slices.DeleteFunc(slices.Clone(specs), func(s process.Spec) bool { return taken(s.Name) })
		if len(free) >= n || len(specs) < l.spare || l.spare > maxProcesses {
			return free[:min(n, len(free))], nil
		}
	}
}

// sectionOf returns the section of a program, nil if there is none, and whether its processes share a socket.
func (l *loader) sectionOf(program string) (sec *section, fcgi bool) {
	if sec, ok := l.table.index["program:"+program]; ok {
		return sec, false
	}
	return l.table.index["fcgi-program:"+program], true
}

// sparesOf returns the spare processes of a program, in the order of their numbers.
func (l *loader) sparesOf(group, program string) ([]process.Spec, error) {
	sec, fcgi := l.sectionOf(program)
	if sec == nil || l.spare == 0 {
		return nil, nil
	}
	specs, err := l.processes(sec, group)
	if err != nil {
		return nil, err
	}
	if fcgi {
		l.giveSocket(sec, specs)
	}
	slices.SortStableFunc(specs, func(a, b process.Spec) int { return a.Num - b.Num })
	return specs, nil
}

// refuseSurge refuses a group in which the extra process of a program would be called as another process is.
func (l *loader) refuseSurge(g process.GroupSpec) error {
	counts, roll := map[string]int{}, map[string]process.Roll{}
	var programs []string
	for _, s := range g.Processes {
		if counts[s.Program]++; counts[s.Program] == 1 {
			programs, roll[s.Program] = append(programs, s.Program), s.Roll
		}
	}
	for _, name := range programs {
		n := roll[name].Extra(counts[name])
		if n == 0 {
			continue
		}
		k := *l
		k.warnings, k.warned, k.spare, k.collect = nil, map[Warning]bool{}, n, nil
		specs, err := k.sparesOf(g.Name, name)
		if err != nil && l.collect != nil {
			continue // it was collected
		}
		if err != nil {
			return err
		}
		for _, s := range specs {
			other, is := g.Process(s.Name)
			if !is {
				continue
			}
			sec, _ := l.sectionOf(name)
			r := l.reader(sec, l.hereNames)
			r.refuse(NameTemplate, "roll_surge", fmt.Sprintf("the extra process of roll_surge=%s would be called %s, as a process of the program %s in the group %s is", roll[name].Surge, s.Name, other.Program, g.Name),
				"write a process_name that no other program of the group has, such as %(program_name)s_%(process_num)d")
			if r.err != nil {
				return r.err.in(sec)
			}
		}
	}
	return nil
}

// count reads numprocs. A share of the processors is written as people write it, though a percent sign means something else in a value.
func (p *programReader) count() int {
	if e, ok := p.raw("numprocs"); ok {
		if share, found := strings.CutSuffix(strip(e.value), "%"); found && share != "" && strings.Trim(share, "0123456789") == "" {
			if n, err := p.m.count(e.value); err == nil {
				return n
			}
		}
	}
	return read(p.reader, "numprocs", 1, p.m.count)
}

// count parses numprocs: a number, or a share of the machine's processors, which Supervisor does not know: "auto" and "cores" are one for
// each, "cores-1" one less (but never none), "50%" half of them, rounded up.
func (m Machine) count(s string) (int, error) {
	text := lower(strip(s))
	cores := max(m.CPUs, 1)
	if text == "auto" {
		return cores, nil
	}
	if rest, ok := strings.CutPrefix(text, "cores"); ok {
		if rest == "" {
			return cores, nil
		}
		if n, err := strconv.Atoi(rest); err == nil && (rest[0] == '-' || rest[0] == '+') {
			return max(1, cores+n), nil
		}
	}
	if share, ok := strings.CutSuffix(text, "%"); ok {
		if n, err := strconv.Atoi(share); err == nil && n > 0 && n <= 10_000 {
			return max(1, int(math.Ceil(float64(cores*n)/100))), nil
		}
	}
	n, err := ParseInt(s)
	if err != nil {
		return 0, &valueError{err.Error(), fmt.Sprintf("write a number, auto, cores-1 or 50%% (this machine has %d cores)", cores)}
	}
	return n, nil
}
