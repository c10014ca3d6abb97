package plan

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

var (
	rewrite = flag.Bool("rewrite", false, "write what comes out into the files of testdata")
	seed    = flag.Int64("seed", 0, "the seed of random tests; 0: a new one")
)

// TestMinimal makes the plans of testdata/minimal.txt. A block there says what is active (now), then what is desired (want), then what the
// plan is: lines "now NAME [option=value...]" and "want NAME [option=value...]" begin a group, indented ones after it are its members. A
// member's options are those of a program, and num=N, program=NAME, leaving, stopped and fatal. A line "only NAME..." selects groups.
func TestMinimal(t *testing.T) {
	const file = "testdata/minimal.txt"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
		given, _, _ := strings.Cut(block, "----")
		m, desired, only := parseStory(t, given)
		if i > 0 {
			out.WriteString("\n")
		}
		out.WriteString(strings.TrimSpace(given) + "\n----\n" + updateText(Minimal(m, desired, only)))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := out.String(); got != string(b) {
		g, w := strings.Split(got, "\n"), strings.Split(string(b), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Fatalf("line %d (-rewrite accepts)\nwant %s\ngot  %s", i+1, w[i], g[i])
			}
		}
		t.Fatalf("%d lines, want %d", len(g), len(w))
	}
}

func parseStory(t *testing.T, text string) (m Manifest, desired []process.GroupSpec, only []string) {
	t.Helper()
	var g *process.GroupSpec
	active := false
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "only":
			only = words[1:]
		case words[0] == "now":
			m.Groups = append(m.Groups, Group{Leaving: map[string]bool{}, Down: map[string]Rest{}})
			g, active = &m.Groups[len(m.Groups)-1].GroupSpec, true
			parseGroup(t, g, words[1:])
		case words[0] == "want":
			desired = append(desired, process.GroupSpec{})
			g, active = &desired[len(desired)-1], false
			parseGroup(t, g, words[1:])
		default:
			s := process.Spec{Name: words[0], Program: g.Name, Command: "cat", Priority: 999, Autostart: true, StartSecs: 1}
			for _, word := range words[1:] {
				switch word {
				case "leaving":
					m.Groups[len(m.Groups)-1].Leaving[s.Name] = true
				case "stopped":
					m.Groups[len(m.Groups)-1].Down[s.Name] = AtRest
				case "fatal":
					m.Groups[len(m.Groups)-1].Down[s.Name] = GaveUp
				default:
					parseOption(t, &s, word)
					continue
				}
				if !active {
					t.Fatalf("%q is wanted", line)
				}
			}
			g.Processes = append(g.Processes, s)
		}
	}
	return m, desired, only
}

func parseGroup(t *testing.T, g *process.GroupSpec, words []string) {
	t.Helper()
	g.Name, g.Priority = words[0], 999
	for _, word := range words[1:] {
		option, value, _ := strings.Cut(word, "=")
		if g.Listener == nil && (option == "events" || option == "buffer_size" || option == "result_handler") {
			g.Kind, g.Listener = process.KindEventListener, &process.ListenerSpec{BufferSize: 10, ResultHandler: process.ResultHandlerDefault}
		}
		n, err := strconv.Atoi(value)
		switch option {
		case "kind":
			g.Kind, err = map[string]process.Kind{"group": process.KindHeterogeneous, "fcgi": process.KindFCGI}[value], nil
		case "priority":
			g.Priority = n
		case "events":
			g.Listener.Events, err = strings.Split(value, ","), nil
		case "buffer_size":
			g.Listener.BufferSize = n
		case "result_handler":
			g.Listener.ResultHandler, err = value, nil
		default:
			t.Fatalf("no such option: %s", word)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func parseOption(t *testing.T, s *process.Spec, word string) {
	t.Helper()
	option, value, _ := strings.Cut(word, "=")
	n, err := strconv.Atoi(value)
	switch option {
	case "num":
		s.Num = n
	case "startsecs":
		s.StartSecs = n
	case "priority":
		s.Priority = n
	case "socket_mode":
		s.Socket.Mode = n
	default:
		err = nil
		switch option {
		case "program":
			s.Program = value
		case "command":
			s.Command = value
		case "autostart":
			s.Autostart = value == "true"
		case "socket":
			s.Socket.URL = value
		case "stdout_logfile":
			if s.Stdout.File.Kind = process.LogPath; value == "AUTO" {
				s.Stdout.File.Kind, value = process.LogAuto, ""
			}
			s.Stdout.File.Path = value
		case "environment":
			for pair := range strings.SplitSeq(value, ",") {
				key, v, _ := strings.Cut(pair, ":")
				s.Environment = append(s.Environment, process.Env{Key: key, Value: v})
			}
		default:
			t.Fatalf("no such option: %s", word)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func updateText(u Update) string {
	var out strings.Builder
	for _, p := range u.Plans {
		fmt.Fprintf(&out, "%s: %s", p.Group, [...]string{"change", "add", "remove", "replace"}[p.Scope])
		if p.Empty() {
			out.WriteString(", nothing")
		}
		if len(p.Kept) > 0 {
			fmt.Fprintf(&out, ", keeps %s", strings.Join(p.Kept, " "))
		}
		out.WriteString(differencesText(p.Fields) + "\n")
		for _, c := range p.Changes {
			fmt.Fprintf(&out, "  %s ", [...]string{"add", "return", "remove", "tune", "rename", "replace"}[c.Action])
			if c.From != "" {
				fmt.Fprintf(&out, "%s -> ", c.From)
			}
			out.WriteString(c.Name)
			if c.Down {
				out.WriteString(", down")
			}
			if c.Retry {
				out.WriteString(", retry")
			}
			out.WriteString(differencesText(c.Fields) + "\n")
		}
	}
	if u.Empty() {
		out.WriteString("empty\n")
	}
	return out.String()
}

func differencesText(list []Difference) string {
	var out strings.Builder
	for _, d := range list {
		fmt.Fprintf(&out, "; %s: %s", d.Class, d.Option)
		if d.Variable != "" {
			fmt.Fprintf(&out, " %s", d.Variable)
		}
		fmt.Fprintf(&out, " %q -> %q", d.Old, d.New)
	}
	return out.String()
}

// TestMinimalByClass changes every option of a process, one at a time: its class alone decides what happens.
func TestMinimalByClass(t *testing.T) {
	for _, f := range process.Fields {
		t.Run(f.Member, func(t *testing.T) {
			before := process.Spec{Name: "foo_0", Program: "foo", Umask: process.UnsetMask, UID: process.UnsetID}
			check := process.Check{Kind: process.CheckTCP, Target: "127.0.0.1:1", Period: 1, Timeout: 1, Successes: 1, Failures: 1}
			before.Health = process.Health{Ready: check, Alive: check}
			after := before
			changeMember(t, &after, f.Member)
			u := Minimal(one("foo", before), []process.GroupSpec{{Name: "foo", Processes: []process.Spec{after}}}, nil)
			p := u.Plans[0]
			want := map[process.Class]Action{
				process.Live: TuneProcess, process.NextStart: TuneProcess, process.Respawn: ReplaceProcess, process.Identity: RenameProcess,
			}
			if f.Class == process.GroupWide {
				if p.Scope != ReplaceGroup || len(p.Names(RemoveProcess)) != 1 || len(p.Names(AddProcess)) != 1 || len(p.Fields) == 0 {
					t.Fatalf("a change of class %v: %+v", f.Class, p)
				}
				return
			}
			if p.Scope != ChangeGroup || len(p.Changes) != 1 || p.Changes[0].Action != want[f.Class] || !reflect.DeepEqual(p.Changes[0].Spec, after) {
				t.Fatalf("a change of class %v: %+v", f.Class, p)
			}
			if d := p.Changes[0].Fields; len(d) != 1 || d[0].Option != f.Name || d[0].Class != f.Class || d[0].Old == d[0].New {
				t.Errorf("differences %+v", d)
			}
		})
	}
}

// one is a state of one group that has one process.
func one(name string, s process.Spec) Manifest {
	return Manifest{Groups: []Group{{GroupSpec: process.GroupSpec{Name: name, Processes: []process.Spec{s}}}}}
}

// changeMember gives the member at a path of a Spec another value.
func changeMember(t *testing.T, s *process.Spec, path string) {
	t.Helper()
	v := reflect.ValueOf(s).Elem()
	for name := range strings.SplitSeq(path, ".") {
		v = v.FieldByName(name)
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Type() == reflect.TypeFor[process.PostFailure]():
		v.Set(reflect.ValueOf(process.PostFails))
	case v.Type() == reflect.TypeFor[process.HookFailure]():
		v.Set(reflect.ValueOf(process.HookIgnored))
	case v.CanInt():
		v.SetInt(v.Int() + 2)
	case v.Type() == reflect.TypeFor[process.Share]():
		v.Set(reflect.ValueOf(process.Share{N: 3}))
	case v.Type() == reflect.TypeFor[process.LogTarget]():
		v.Set(reflect.ValueOf(process.LogTarget{Kind: process.LogPath, Path: "/tmp/x"}))
	case v.Type() == reflect.TypeFor[process.BackoffSpec]():
		v.Set(reflect.ValueOf(process.BackoffSpec{First: time.Second}))
	case v.Type() == reflect.TypeFor[process.Rate]():
		v.Set(reflect.ValueOf(process.Rate{Count: 1, Within: time.Second}))
	case v.Type() == reflect.TypeFor[[]int]():
		v.Set(reflect.ValueOf([]int{3}))
	case v.Type() == reflect.TypeFor[[]process.StopStep]():
		v.Set(reflect.ValueOf([]process.StopStep{{Signal: process.SIGTERM, Wait: process.Forever}}))
	case v.Type() == reflect.TypeFor[[]string]():
		v.Set(reflect.ValueOf([]string{"/x"}))
	case v.Type() == reflect.TypeFor[[]process.NamedSocket]():
		v.Set(reflect.ValueOf([]process.NamedSocket{{Name: "s", SocketSpec: process.SocketSpec{URL: "tcp://127.0.0.1:1"}}}))
	case v.Type() == reflect.TypeFor[[]process.Secret]():
		v.Set(reflect.ValueOf([]process.Secret{{Key: "A", Path: "/x"}}))
	case v.Type() == reflect.TypeFor[[]process.Dependency]():
		v.Set(reflect.ValueOf([]process.Dependency{{Name: process.Namespec{Group: "db"}}}))
	case v.Type() == reflect.TypeFor[[]process.Env]():
		v.Set(reflect.ValueOf([]process.Env{{Key: "A", Value: "b"}}))
	default:
		t.Fatalf("%s is a %v", path, v.Type())
	}
}

// TestUpdateID checks that the name of a plan stands for all that it was made from.
func TestUpdateID(t *testing.T) {
	spec := process.Spec{Name: "foo_0", Program: "foo"}
	desired := func(s process.Spec) []process.GroupSpec {
		return []process.GroupSpec{{Name: "foo", Processes: []process.Spec{s}}, {Name: "new"}}
	}
	m := one("foo", spec)
	m.Groups = append(m.Groups, Group{GroupSpec: process.GroupSpec{Name: "old"}})
	first := Minimal(m, desired(spec), nil).ID()
	if again := Minimal(m, desired(spec), nil).ID(); again != first || len(first) != 8 {
		t.Fatalf("the same plan is called %q and %q", first, again)
	}
	ids := map[string]string{first: "nothing"}
	check := func(what string, u Update) {
		t.Helper()
		if other, taken := ids[u.ID()]; taken {
			t.Errorf("after a change of %s the plan is called like that after a change of %s", what, other)
		}
		ids[u.ID()] = what
	}
	for _, f := range process.Fields {
		after := spec
		changeMember(t, &after, f.Member)
		check(f.Member+" in a file", Minimal(m, desired(after), nil))
		running := one("foo", after)
		running.Groups = append(running.Groups, m.Groups[1])
		check(f.Member+" of what is active", Minimal(running, desired(spec), nil))
	}
	// Which process of which program one is decides about renames.
	check("process_num", Minimal(m, desired(process.Spec{Name: "foo_0", Program: "foo", Num: 1}), nil))
	check("the program", Minimal(m, desired(process.Spec{Name: "foo_0", Program: "bar"}), nil))
	check("the selection", Minimal(m, desired(spec), []string{"foo"}))
	check("the groups", Minimal(m, desired(spec)[:1], nil))
	for _, rest := range []Rest{AtRest, GaveUp} {
		state := Manifest{Groups: slices.Clone(m.Groups)}
		state.Groups[0].Down = map[string]Rest{"foo_0": rest}
		check(fmt.Sprint("what runs, ", rest), Minimal(state, desired(spec), nil))
	}
	state := Manifest{Groups: slices.Clone(m.Groups)}
	state.Groups[0].Leaving = map[string]bool{"foo_0": true}
	check("what leaves", Minimal(state, desired(spec), nil))
	for what, change := range map[string]func(*process.GroupSpec){
		"priority":       func(g *process.GroupSpec) { g.Priority++ },
		"kind":           func(g *process.GroupSpec) { g.Kind = process.KindFCGI },
		"events":         func(g *process.GroupSpec) { g.Listener = &process.ListenerSpec{Events: []string{"TICK_5"}} },
		"two events":     func(g *process.GroupSpec) { g.Listener = &process.ListenerSpec{Events: []string{"TICK_5", "TICK_60"}} },
		"buffer_size":    func(g *process.GroupSpec) { g.Listener = &process.ListenerSpec{BufferSize: 5} },
		"result_handler": func(g *process.GroupSpec) { g.Listener = &process.ListenerSpec{ResultHandler: "x"} },
		"payload_length": func(g *process.GroupSpec) { g.Listener = &process.ListenerSpec{CountBytes: true} },
		"members":        func(g *process.GroupSpec) { g.Processes = append(g.Processes, process.Spec{Name: "foo_1"}) },
	} {
		d := desired(spec)
		change(&d[0])
		check(what+" of the group", Minimal(m, d, nil))
	}
}

// TestMinimalProperty checks over random states: each member of each side is named exactly once, what is kept is equal, a name and a number
// that a rename pairs belong to one process, and the plan of its own result is empty.
func TestMinimalProperty(t *testing.T) {
	from := cmp.Or(*seed, rand.Int63())
	t.Logf("seed %d (-seed=%[1]d)", from)
	r := rand.New(rand.NewSource(from))
	group := func() process.GroupSpec {
		g := process.GroupSpec{Name: "foo", Priority: 1 + r.Intn(2)}
		style, start := r.Intn(3), r.Intn(2)
		for i := range r.Intn(5) {
			num := start + i
			s := process.Spec{
				Name: [...]string{fmt.Sprint("foo_", num), fmt.Sprint("w", num), fmt.Sprint("foo_", i)}[style], Program: "foo", Num: num, Command: "cat",
			}
			if r.Intn(6) == 0 {
				s.Command = "cat -u"
			}
			if r.Intn(6) == 0 {
				s.StartSecs = 3
			}
			g.Processes = append(g.Processes, s)
		}
		if len(g.Processes) > 0 && r.Intn(20) == 0 {
			g.Processes[len(g.Processes)-1].Socket.URL = "tcp://localhost:1"
		}
		return g
	}
	saw := map[Action]int{}
	for range 3000 {
		active := Group{GroupSpec: group(), Leaving: map[string]bool{}, Down: map[string]Rest{}}
		for _, p := range active.Processes {
			active.Leaving[p.Name] = r.Intn(8) == 0
			active.Down[p.Name] = Rest(max(0, r.Intn(6)-3))
		}
		desired := group()
		p := Minimal(Manifest{Groups: []Group{active}}, []process.GroupSpec{desired}, nil).Plans[0]
		before, after := slices.Clone(p.Kept), slices.Clone(p.Kept)
		result := Group{GroupSpec: desired}
		for _, name := range p.Kept {
			a, _ := active.Process(name)
			d, _ := desired.Process(name)
			if len(process.Changes(a, d)) > 0 || active.Leaving[name] {
				t.Fatalf("%s is kept\n%+v\n%+v", name, active, desired)
			}
		}
		for _, c := range p.Changes {
			saw[c.Action]++
			old := c.Name
			if c.Action == RenameProcess {
				old = c.From
				a, _ := active.Process(old)
				if a.Num != c.Spec.Num || a.Command != c.Spec.Command {
					t.Fatalf("%+v is renamed to %+v", a, c.Spec)
				}
			}
			if c.Action != AddProcess {
				before = append(before, old)
			}
			if c.Action != RemoveProcess {
				after = append(after, c.Name)
			}
			if c.Down != (c.Action != AddProcess && active.Down[old] != Up) || c.Retry && active.Down[old] != GaveUp {
				t.Fatalf("%+v, but %v", c, active.Down)
			}
		}
		for _, side := range []struct {
			names []string
			of    []process.Spec
		}{{before, active.Processes}, {after, desired.Processes}} {
			var want []string
			for _, s := range side.of {
				want = append(want, s.Name)
			}
			slices.Sort(want)
			slices.Sort(side.names)
			if !slices.Equal(side.names, want) {
				t.Fatalf("named %v, there %v\n%+v\n%+v", side.names, want, active, desired)
			}
		}
		if u := Minimal(Manifest{Groups: []Group{result}}, []process.GroupSpec{desired}, nil); !u.Empty() {
			t.Fatalf("the plan of its own result: %+v", u)
		}
	}
	for a := AddProcess; a <= ReplaceProcess; a++ {
		if saw[a] < 50 {
			t.Errorf("action %d came %d times: the generator is blind", a, saw[a])
		}
	}
}
