package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// Story is a scenario in which everything happens that a machine knows of: updates, listeners, output, marks, a clock that is set.
type Story struct {
	Seed     uint64
	Groups   []Group // of a Scenario
	Boot     []process.GroupSpec
	Want     []process.GroupSpec
	Lives    map[process.Namespec][]Life
	Commands []Command
	End      time.Duration // everything is stopped then
}

// GenerateStory makes the story of a seed: one in two is a random scenario, the other an update with commands of others in the middle, and in both
// there are listeners and more.
func GenerateStory(seed uint64) Story {
	r := &dice{rand.New(rand.NewPCG(seed, 0x5709))}
	st := Story{Seed: seed, Lives: map[process.Namespec][]Life{}, End: 25*time.Second + 500*time.Microsecond}
	if seed%2 == 0 {
		st.fromScenario(GenerateMore(seed))
	} else {
		st.fromUpdate(r, GenerateUpdate(seed, true))
	}
	names := []string{"ears:*", "ears:p0"}
	for name := range st.Lives {
		names = append(names, name.String())
	}
	slices.Sort(names)
	ears := r.ears()
	st.Boot = append(st.Boot, ears)
	for _, p := range ears.Processes {
		lives := []Life{{Lasts: -1, Stop: 5000, Kill: 500}, {Lasts: int64(r.between(100_000, 9*second)), Code: 1, Stop: 5000, Kill: 500}}
		st.Lives[process.Namespec{Group: "ears", Process: p.Name}] = lives
	}
	storm := r.storm()
	st.Boot, st.Want = append(st.Boot, storm), append(st.Want, storm)
	st.Lives[process.Namespec{Group: "storm", Process: "storm"}] = []Life{{Lasts: 400_000, Stop: 5000, Kill: 500}}
	if !r.one(8) {
		l := *ears.Listener
		if r.one(2) {
			l.BufferSize = pick(r, 1, 2, 20)
			l.Events = pick(r, l.Events, []string{"EVENT"})
		}
		ears.Listener = &l
		st.Want = append(st.Want, ears)
	}
	for range r.between(5, 40) {
		st.Commands = append(st.Commands, r.noise(names))
	}
	for range r.between(0, 4) { // a signal to a process that may not be there yet
		c := Command{At: r.Int64N(25 * second), Op: "startProcess", Name: pick(r, names...), Wait: r.one(2)}
		st.Commands = append(st.Commands, c)
		c.Op, c.Signal, c.At = "signalProcess", pick(r, 10, 15), c.At+r.Int64N(40_000)
		st.Commands = append(st.Commands, c)
	}
	for i := range st.Commands {
		if c := &st.Commands[i]; c.Op != "cancel" && c.Cancel == 0 {
			c.Req = uint64(i + 1)
		}
	}
	return st
}

// GenerateRollStory makes the story of a seed in which a whole group is replaced, with commands of others in the middle.
func GenerateRollStory(seed uint64) Story {
	st := Story{Seed: seed, End: 40*time.Second + 500*time.Microsecond}
	st.fromUpdate(&dice{rand.New(rand.NewPCG(seed, 0x5710))}, GenerateRoll(seed))
	for i := range st.Commands {
		if c := &st.Commands[i]; c.Cancel == 0 {
			c.Req = uint64(i + 1)
		}
	}
	return st
}

func (st *Story) fromScenario(sc Scenario) {
	st.Groups, st.Commands = sc.Groups, sc.Commands
	for _, g := range sc.Groups {
		if !g.Later {
			st.Boot = append(st.Boot, g.spec())
		}
		for _, p := range g.Programs {
			st.Lives[process.Namespec{Group: g.Name, Process: p.Name}] = p.Lives
		}
	}
}

func (st *Story) fromUpdate(r *dice, sc UpdateScenario) {
	st.Boot, st.Want, st.Lives = slices.Clone(sc.Was), slices.Clone(sc.Is), sc.Lives
	st.Commands = append(slices.Clone(sc.Before), Command{At: sc.Start, Op: "update"})
	first := fmt.Sprint(len(st.Commands)) // its number
	act := first
	for _, c := range sc.Others {
		switch c.Op {
		case "act":
			act = fmt.Sprint(len(st.Commands) + 1)
		case "cancelact", "pauseact", "resumeact":
			c.Op, c.Name = strings.Replace(c.Op, "act", "update", 1), act
		case "cancelupdate", "pauseupdate", "resumeupdate":
			c.Name = first
		case "cancel":
			c.Cancel = uint64(len(sc.Before) + 1)
		}
		st.Commands = append(st.Commands, c)
	}
	if r.one(2) {
		st.End = 60 * time.Second // some children do not end before
	}
}

// ears makes a group of listeners.
func (r *dice) ears() process.GroupSpec {
	g := process.GroupSpec{Name: "ears", Kind: process.KindEventListener, Priority: pick(r, -1, 1000), Listener: &process.ListenerSpec{
		Events: pick(r, []string{"EVENT"}, []string{"PROCESS_STATE", "TICK"}, []string{"PROCESS_LOG", "PROCESS_COMMUNICATION", "REMOTE_COMMUNICATION"}), BufferSize: pick(r, 1, 3, 10),
		ResultHandler: pick(r, process.ResultHandlerDefault, process.ResultHandlerGraceStdin), CountBytes: r.one(2),
	}}
	for i := range r.between(1, 2) {
		p := r.program(i).spec()
		p.Program, p.StartSecs, p.Autostart, p.Autorestart = "ears", r.IntN(2), true, process.RestartAlways
		g.Processes = append(g.Processes, p)
	}
	return g
}

// storm makes a group whose process ends as soon as it runs, again and again.
func (r *dice) storm() process.GroupSpec {
	p := r.program(0).spec()
	p.Name, p.Program, p.StartSecs, p.Autostart, p.Autorestart = "storm", "storm", 0, true, process.RestartAlways
	return process.GroupSpec{Name: "storm", Priority: 7, Processes: []process.Spec{p}}
}

// noise makes something that goes on besides.
func (r *dice) noise(names []string) Command {
	c := Command{At: r.Int64N(25 * second), Name: pick(r, names...)}
	switch r.IntN(12) {
	case 0, 1:
		c.Op, c.Signal = "mark", r.IntN(3)
	case 2:
		c.Op = "remote"
	case 3:
		c.Op = "identify"
	case 4:
		c.Op = "setclock"
	case 5, 6:
		c.Op = "tick"
	case 7:
		c.Op = "write"
	default:
		c.Op, c.Signal = "output", r.IntN(4)
	}
	return c
}

// NewMortal makes a world whose daemon may die: see Ledger. Worlds of one seed differ in nothing but that.
func NewMortal(opts core.Options, seed uint64) (*World, *Ledger) {
	w := NewWorld(opts, nil)
	w.Verbose = true
	w.keeper = newKeeper(w, seed)
	w.ledger = newLedger(w, opts, seed)
	return w, w.ledger
}

// Tell plays a story to its end, in a world that NewMortal has made.
func (w *World) Tell(st Story) {
	for _, g := range st.Groups {
		w.Define(g)
	}
	w.lives, w.Want = st.Lives, st.Want
	for _, c := range st.Commands {
		w.at(microseconds(c.At), func() { w.happen(c) })
	}
	for at := 111 * time.Millisecond; at < st.End; at += 577 * time.Millisecond {
		w.at(at, w.look)
	}
	w.Input(core.Command{Do: core.AddGroups{Groups: st.Boot, Boot: true}})
	w.Until(st.End)
	w.Input(core.Command{Do: core.Quit{}})
	w.Until(w.now + 5*time.Minute)
	w.look()
	w.note("look", "hooks", fmt.Sprint(len(w.hooks), " run on"))
}

// happen does what a command of a story says.
func (w *World) happen(c Command) {
	switch c.Op {
	case "setclock":
		w.clockSet += microseconds(c.At%(200*second) - 100*second)
	case "tick":
		w.Input(core.Tick{})
	case "output":
		name := process.ParseNamespec(c.Name)
		s, _ := w.Core.Find(name.Group, name.Process)
		if child := w.children[s.PID]; child != nil && !child.dead {
			data := strings.Repeat("x", c.Signal) + "\xff"
			w.Input(core.Output{ID: s.ID, Incarnation: s.Incarnation, Stderr: c.Signal&1 != 0, Captured: c.Signal&2 != 0, Data: []byte(data)})
		}
	default:
		w.Command(c)
	}
}

// look puts what can be seen of the machine into the trace.
func (w *World) look() {
	if wrong := w.keeper.checkLogs(); wrong != "" {
		w.note("look", "logs", wrong)
	}
	for _, s := range w.Core.Statuses() {
		spec := *s.Spec
		s.Spec = nil
		w.note("look", fmt.Sprint("process ", s.ID), fmt.Sprintf("%+v mark %d %+v", s, w.Core.MarkOf(s.ID), spec))
	}
	for _, g := range w.Core.Manifest().Groups {
		w.note("look", "group "+g.Name, g.Hash())
	}
	at, armed := w.Core.NextDeadline()
	restart, quitting := w.Core.Quitting()
	w.note("look", "machine", fmt.Sprint(w.Core.Revision(), w.Core.Wanted(), w.Core.EventSerial(), w.Core.Marks(), w.Core.Unanswered(), at, armed, restart, quitting))
}
