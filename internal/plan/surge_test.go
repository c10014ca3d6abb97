package plan

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/graced/graced/internal/process"
)

func TestSurging(t *testing.T) {
	one, none, half := process.Share{N: 1}, process.None, process.Share{N: 50, Percent: true}
	spec := func(program string, num int, r process.Roll) process.Spec {
		return process.Spec{Name: fmt.Sprintf("%s_%d", program, num), Program: program, Num: num, Roll: r}
	}
	for _, c := range []struct {
		name  string
		rolls map[string]process.Roll // of programs, each of which has three processes
		down  int                     // so many of each do not run
		want  []string
		most  int
	}{
		{"none", map[string]process.Roll{"a": {}}, 0, nil, 1},
		{"one", map[string]process.Roll{"a": {Surge: one}}, 0, []string{"a_4"}, 1},
		{"pure", map[string]process.Roll{"a": {Surge: one, MaxUnavailable: none}}, 0, []string{"a_4"}, 0},
		{"a share", map[string]process.Roll{"a": {Surge: half, MaxUnavailable: half}}, 0, []string{"a_4"}, 1},
		{"a share of less than one", map[string]process.Roll{"a": {Surge: process.Share{N: 10, Percent: true}, MaxUnavailable: process.Share{N: 10, Percent: true}}}, 0, []string{"a_4"}, 0},
		{"no more than work", map[string]process.Roll{"a": {Surge: process.Share{N: 9}}}, 2, []string{"a_4"}, 1},
		{"nothing works", map[string]process.Roll{"a": {Surge: one, MaxUnavailable: none}}, 3, nil, 0},
		{"one of two programs", map[string]process.Roll{"a": {Surge: one, MaxUnavailable: process.Share{N: 2}}, "b": {}}, 0, []string{"a_4"}, 1},
		{"the other way", map[string]process.Roll{"a": {}, "b": {Surge: process.Share{N: 2}, MaxUnavailable: none}}, 0, []string{"b_4", "b_5"}, 0},
	} {
		active, desired := Group{GroupSpec: process.GroupSpec{Name: "g"}, Down: map[string]Rest{}}, process.GroupSpec{Name: "g"}
		for _, program := range []string{"a", "b"} {
			r, ok := c.rolls[program]
			if !ok {
				continue
			}
			for num := range 3 {
				s := spec(program, num, r)
				active.Processes = append(active.Processes, s)
				s.Command = "new"
				desired.Processes = append(desired.Processes, s)
				if num < c.down {
					active.Down[s.Name] = AtRest
				}
			}
			gone := spec(program, 3, r) // whose name is not free yet
			active.Processes = append(active.Processes, gone)
		}
		m := Manifest{Groups: []Group{active}}
		plain := Minimal(m, []process.GroupSpec{desired}, nil)
		u, err := plain.Surging(m, func(group, program string, n int, taken func(string) bool) (list []process.Spec, err error) {
			for num := 3; len(list) < n; num++ {
				if s := spec(program, num, process.Roll{}); !taken(s.Name) {
					list = append(list, s)
				}
			}
			return list, nil
		})
		var got []string
		for _, s := range u.Plans[0].Surge {
			got = append(got, s.Name)
		}
		if err != nil || !reflect.DeepEqual(got, c.want) || u.Plans[0].Roll().Most(3*len(c.rolls)) != c.most {
			t.Errorf("%s: %v, %v at a time, %v", c.name, got, u.Plans[0].Roll().Most(3*len(c.rolls)), err)
		}
		if stuck := (Override{MaxUnavailable: &none}).Stuck(u); (stuck == "g") != (len(got) == 0 && c.down < 3) {
			t.Errorf("%s: it is stuck in %q", c.name, stuck)
		}
		if stuck := (Override{MaxUnavailable: &one}).Stuck(u); stuck != "" {
			t.Errorf("%s: with one it is stuck in %q", c.name, stuck)
		}
		if (u.ID() == plain.ID()) != (len(got) == 0) {
			t.Errorf("%s: the identifier does not tell of them", c.name)
		}
		bad := errors.New("bad")
		if _, err := plain.Surging(m, func(string, string, int, func(string) bool) ([]process.Spec, error) { return nil, bad }); (err == nil) != (len(got) == 0) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
