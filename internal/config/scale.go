package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
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
	if nums, ok := p.scaled[p.program]; ok {
		return nums
	}
	nums := make([]int, max(p.numprocs, 0))
	for i := range nums {
		nums[i] = p.first + i
	}
	return nums
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
