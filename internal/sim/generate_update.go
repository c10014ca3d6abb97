package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// UpdateScenario is a story of updates: what is active first, what shall be then, how lives go, and what others ask meanwhile.
type UpdateScenario struct {
	Seed    uint64
	Was, Is []process.GroupSpec
	Lives   map[process.Namespec][]Life
	Before  []Command // until Start
	Start   int64     // microseconds: the moment of the update
	Others  []Command // after it

	Found map[process.Namespec]core.Found // of Was: what is there already, but for pids
}

// GenerateUpdate makes the scenario of a seed; without others nobody gives a command after the update has begun.
func GenerateUpdate(seed uint64, others bool) UpdateScenario {
	r := &dice{rand.New(rand.NewPCG(seed, 0x0bda7e))}
	sc := UpdateScenario{Seed: seed, Lives: map[process.Namespec][]Life{}, Start: int64(r.between(1000, 7*second))}
	for i := range r.between(1, 4) {
		name := fmt.Sprintf("g%d", i)
		was := r.source(name)
		is := was.clone()
		for range pick(r, 0, 1, 1, 2, 4) {
			r.edit(&is)
		}
		if r.one(10) {
			is = r.source(name)
		}
		if !r.one(8) {
			sc.Was = append(sc.Was, was.spec())
		}
		if !r.one(8) {
			sc.Is = append(sc.Is, is.spec())
		}
	}
	if seed%3 == 0 {
		sc.Found = findSome(seed, sc.Was)
	}
	r.Shuffle(len(sc.Is), func(i, j int) { sc.Is[i], sc.Is[j] = sc.Is[j], sc.Is[i] })
	var names []string
	for _, g := range append(append([]process.GroupSpec(nil), sc.Was...), sc.Is...) {
		for _, p := range g.Processes {
			name := process.Namespec{Group: g.Name, Process: p.Name}
			if sc.Lives[name] != nil {
				continue
			}
			names = append(names, name.String())
			mood := pick(r, 0, 2, 3, 5, 5, 5)
			for range r.between(2, 6) {
				sc.Lives[name] = append(sc.Lives[name], r.updateLife(mood, p.StartSecs))
			}
			sc.Lives[name][0].Denied = false // an update succeeds some time
		}
	}
	if len(names) == 0 {
		return sc
	}
	for range r.between(0, 4) {
		sc.Before = append(sc.Before, Command{
			At: r.Int64N(sc.Start), Op: pick(r, "stopProcess", "stopProcess", "startProcess"), Name: pick(r, names...), Wait: r.one(2),
		})
	}
	for _, g := range sc.Was { // some members are on their way out when the update begins
		if !r.one(6) {
			continue
		}
		c := Command{At: max(0, sc.Start-r.Int64N(2*second)), Op: pick(r, "apply", "apply", "leave"), Name: g.Name}
		for _, p := range g.Processes {
			if r.one(3) {
				c.Desired = append(c.Desired, p.Name)
			}
		}
		sc.Before = append(sc.Before, c)
	}
	if others {
		for range r.between(1, 8) {
			sc.Others = append(sc.Others, r.other(sc, names))
		}
	}
	sc.gentle(names)
	sc.live(false)
	return sc
}

// other makes a command of somebody else in the middle of an update.
func (r *dice) other(sc UpdateScenario, names []string) Command {
	c := Command{At: sc.Start + r.Int64N(12*second), Name: pick(r, names...), Wait: r.one(2)}
	g := process.ParseNamespec(c.Name).Group
	switch r.IntN(27) {
	case 0, 1, 2:
		c.Op = "startProcess"
	case 3, 4, 5:
		c.Op = "stopProcess"
	case 6:
		c.Op, c.Name = "stopProcessGroup", g
	case 7:
		c.Op, c.Name = pick(r, "startAllProcesses", "stopAllProcesses"), ""
	case 8:
		c.Op, c.Signal = "signalProcess", pick(r, 1, 9, 15)
	case 9:
		c.Op, c.Name = "removeProcessGroup", g
	case 10:
		c.Op = "removeProcess"
	case 11, 12:
		c.Op, c.Name = "update", ""
	case 13:
		c.Op, c.Name, c.Desired = "update", "", []string{g}
	case 14:
		c.Op, c.Name = "cancelupdate", "1"
	case 15:
		c.Op, c.Name = pick(r, "pauseupdate", "pauseupdate", "resumeupdate"), "1"
	case 16:
		c.Op, c.Name = pick(r, "apply", "leave"), g
		for _, name := range names {
			if n := process.ParseNamespec(name); n.Group == g && r.one(2) {
				c.Desired = append(c.Desired, n.Process)
			}
		}
	case 17:
		c.Op, c.Name, c.Cancel = "cancel", "", 1
	case 18:
		c.Op = "cancelact"
	case 19, 20, 21, 22, 23, 24, 25:
		c.Op, c.Name = "act", pick(r, "start", "stop", "restart", "restart")
		c.Desired = pick(r, []string{pick(r, names...)}, []string{pick(r, names...), pick(r, names...)}, []string{g + ":*"}, []string{"all"}, []string{g + ":*", pick(r, names...)})
		c.AtOnce = pick(r, 0, 0, 1, 2)
	default:
		c.Op, c.Name = pick(r, "shutdown", "restart", "stopProcess", "stopProcess"), pick(r, names...)
	}
	return c
}

// updateLife makes one life: of mood 5 it lasts, of a lower one it may end by itself. It may obey late or never, and be busy in the kernel for long.
func (r *dice) updateLife(mood, startSecs int) Life {
	l := r.life(min(mood, 3), startSecs)
	if mood == 5 {
		l.Lasts = -1
		if !r.one(12) {
			l.Fork = ""
		}
		if l.Fork == "" {
			l.Kill = max(l.Kill, 200)
		}
	}
	switch {
	case l.Fork != "":
	case l.Denied, r.one(12): // nobody may signal it, but it ends by itself
		l.Denied, l.Lasts = true, int64(r.between(1, 60))*second
	case r.one(25):
		l.Stop, l.Kill = -1, int64(r.between(5, 40))*second
	}
	if l.Fork == "" {
		l.Ready = pick(r, 0, int64(r.between(1000, 900_000)), int64(r.between(1, 4))*second, int64(r.between(1, 4))*second)
		switch r.IntN(mood + 3) {
		case 0:
			l.Ready = -1
		case 1:
			l.Sick, l.Well = int64(r.between(1, 5*second)), pick(r, 0, r.Int64N(4*second)+1)
		case 2:
			l.Dead = int64(r.between(1, 9*second))
		}
	}
	return l
}

// source is the text of a group before it is expanded.
type source struct {
	group    process.GroupSpec
	sections []section
}

// section is one program of a group.
type section struct {
	spec       process.Spec
	num, start int
	style      int  // of the names
	numbered   bool // %(process_num)d is in the environment
}

func (s source) clone() source {
	s.sections = append([]section(nil), s.sections...)
	if l := s.group.Listener; l != nil {
		c := *l
		s.group.Listener = &c
	}
	return s
}

// spec expands the group.
func (s source) spec() process.GroupSpec {
	g := s.group
	if l := g.Listener; l != nil {
		c := *l
		g.Listener = &c
	}
	for _, sec := range s.sections {
		for i := range sec.num {
			p := sec.spec
			p.Num = sec.start + i
			p.Name = fmt.Sprintf([...]string{"%s_%d", "%s-%02d", "%s.%d"}[sec.style], p.Program, p.Num)
			if sec.num == 1 && sec.style == 0 {
				p.Name = p.Program
			}
			if sec.numbered {
				p.Environment = append([]process.Env{{Key: "N", Value: fmt.Sprint(p.Num)}}, p.Environment...)
			}
			g.Processes = append(g.Processes, p)
		}
	}
	return g
}

// health makes how a process is watched, and how its group rolls.
func (r *dice) health(p *process.Spec) {
	p.Health, p.Roll = process.Health{}, process.Roll{}
	if r.one(2) {
		p.Health.Ready = process.Check{Kind: process.CheckTCP, Target: fmt.Sprint(r.IntN(2))}
		p.Health.ReadyWait = time.Duration(r.between(1, 5)) * time.Second
	}
	if r.one(3) {
		p.Health.Alive = process.Check{Kind: process.CheckTCP}
		p.Health.AliveAction = process.AliveAction(r.IntN(3))
	}
	if r.one(2) {
		p.Roll = process.Roll{
			MaxUnavailable: pick(r, process.Share{N: 1}, process.Share{N: 2}, process.Share{N: 50, Percent: true}, process.Share{N: 9}),
			Canary:         pick(r, 0, 1, 2), Steady: pick(r, 0, 500*time.Millisecond, 3*time.Second), OnFailure: pick(r, process.RollBack, process.RollBack, process.RollStop),
		}
		if r.one(2) {
			p.Roll.Surge = pick(r, process.Share{N: 1}, process.Share{N: 2}, process.Share{N: 50, Percent: true})
			p.Roll.MaxUnavailable = pick(r, process.None, process.None, p.Roll.MaxUnavailable)
		}
	}
}

// source makes a group.
func (r *dice) source(name string) source {
	s := source{group: process.GroupSpec{Name: name, Kind: process.KindProgram, Priority: pick(r, 1, 5, 5, 999)}}
	n := 1
	switch r.IntN(6) {
	case 0, 1:
		s.group.Kind, n = process.KindHeterogeneous, r.between(1, 3)
	case 2:
		s.group.Kind = process.KindFCGI
	case 3:
		s.group.Kind = process.KindEventListener
		s.group.Listener = &process.ListenerSpec{
			Events: []string{"PROCESS_STATE"}, BufferSize: pick(r, 1, 10), ResultHandler: process.ResultHandlerDefault,
		}
	}
	for i := range n {
		p := r.program(i).spec()
		p.Program = name
		p.Backoff, p.RestartLimit, p.Breaker = r.policy()
		r.health(&p)
		if n > 1 {
			p.Program = fmt.Sprintf("p%d", i)
		}
		if s.group.Kind == process.KindFCGI {
			p.Socket.URL = "tcp://localhost:1"
		}
		s.sections = append(s.sections, section{spec: p, num: pick(r, 1, 1, 2, 3), start: pick(r, 0, 0, 1), style: r.IntN(3), numbered: r.one(6)})
	}
	return s
}

// edit makes one change, of any class.
func (r *dice) edit(s *source) {
	if r.one(6) {
		switch l := s.group.Listener; {
		case l != nil && r.one(3):
			l.ResultHandler = process.ResultHandlerGraceStdin
		case l != nil && r.one(2):
			l.Events = []string{"PROCESS_STATE", "TICK_5"}
		case l != nil:
			l.BufferSize = pick(r, 1, 2, 50)
		default:
			s.group.Priority = pick(r, 1, 5, 7, 999)
		}
		return
	}
	sec := &s.sections[r.IntN(len(s.sections))]
	p := &sec.spec
	switch r.IntN(27) {
	case 25, 26:
		r.health(p)
	case 0, 1, 2:
		sec.num = r.between(1, 4)
	case 3:
		sec.start = r.IntN(3)
	case 4, 5:
		sec.style = r.IntN(3)
	case 6:
		sec.numbered = !sec.numbered
	case 7, 8, 9:
		p.Command += " more"
	case 10:
		p.Environment = []process.Env{{Key: "V", Value: fmt.Sprint(r.IntN(9))}}
	case 11:
		p.Directory = "/tmp"
	case 12:
		p.Autostart = !p.Autostart
	case 13:
		p.StartSecs = r.IntN(4)
	case 14:
		p.Autorestart = process.Autorestart(r.IntN(3))
	case 15:
		p.StopWaitSecs = r.IntN(4)
	case 16:
		p.Stdout.File = process.LogTarget{Kind: process.LogPath, Path: cmp.Or(p.Stdout.File.Path, "/tmp/log") + "x"}
	case 17:
		p.StartRetries = r.IntN(4)
	case 18:
		p.Priority = r.IntN(9)
	case 19:
		if p.Socket.URL != "" {
			p.Socket.URL += "1"
		}
	case 20:
		if p.Socket.URL != "" {
			p.Socket.Mode = 0o600
		}
	case 21, 22, 23:
		p.Backoff, p.RestartLimit, p.Breaker = r.policy()
	default:
		p.StopSignal = pick(r, process.SIGTERM, 2)
	}
}

// GenerateRoll makes the scenario of a seed in which a whole group is replaced, one part after the other; its new release may be a bad one.
func GenerateRoll(seed uint64) UpdateScenario {
	r := &dice{rand.New(rand.NewPCG(seed, 0x2011))}
	sc := UpdateScenario{Seed: seed, Lives: map[process.Namespec][]Life{}, Start: int64(r.between(7, 9)) * second}
	s := r.source("g")
	s.group.Kind, s.group.Listener, s.sections = process.KindProgram, nil, s.sections[:1]
	sec := &s.sections[0]
	sec.num, sec.numbered, sec.style = r.between(1, 8), false, 2
	p := &sec.spec
	p.Socket, p.Autostart, p.StartRetries, p.StartSecs = process.SocketSpec{}, true, r.between(0, 3), r.IntN(2)
	sc.Was = []process.GroupSpec{s.spec()}
	p.Command += " more"
	r.health(p)
	if p.Roll.OnFailure == process.RollStop && r.one(2) {
		p.Roll.OnFailure = process.RollPause
	}
	if p.Roll.Surge.N > 0 && r.one(3) {
		p.Roll.OnFailure = process.RollPause
	}
	sc.Is = []process.GroupSpec{s.spec()}
	bad := r.one(2)
	var names []string
	for i, spec := range sc.Was[0].Processes {
		name := process.Namespec{Group: "g", Process: spec.Name}
		names = append(names, name.String())
		good := Life{Lasts: -1, Stop: int64(r.between(1000, 3*second)), Kill: 300, Ready: r.Int64N(900_000)}
		next := good
		if bad && (i == 0 || r.one(3)) || r.one(9) {
			next = r.updateLife(2, spec.StartSecs)
			next.Denied = false
		}
		after := good
		if r.one(12) {
			after = r.updateLife(2, spec.StartSecs)
		}
		first := good
		if r.one(9) { // it does not work when the roll begins
			first.Ready = -1
		}
		sc.Lives[name] = []Life{first, next, after}
		for range 5 {
			sc.Lives[name] = append(sc.Lives[name], good)
		}
	}
	for num := range 8 {
		spec := sc.Is[0].Processes[0]
		extra := process.Namespec{Group: "g", Process: fmt.Sprintf("%s+%d", spec.Program, 100+num)}
		good := Life{Lasts: -1, Stop: int64(r.between(1000, 3*second)), Kill: 300, Ready: r.Int64N(900_000)}
		sc.Lives[extra] = []Life{good, good}
		if num < 2 {
			names = append(names, extra.String())
		}
		switch first := &sc.Lives[extra][0]; {
		case r.one(6): // it was good
			first.Lasts = int64(r.between(1, 8*second))
		case r.one(6):
			first.Sick, first.Well = int64(r.between(second, 5*second)), pick(r, 0, 0, r.Int64N(4*second)+1)
		case bad || r.one(6):
			*first = r.updateLife(2, spec.StartSecs)
			first.Denied = false
		}
	}
	for range pick(r, 0, 0, 1, 2) {
		c := Command{At: sc.Start + r.Int64N(12*second), Name: pick(r, names...), Wait: r.one(2)}
		switch r.IntN(8) {
		case 0, 1:
			c.Op = "cancelupdate"
		case 2:
			c.Op = "pauseupdate"
		case 3:
			c.Op = "resumeupdate"
		case 4:
			c.Op, c.Name, c.Desired = "act", "restart", []string{c.Name}
		default:
			c.Op = pick(r, "stopProcess", "startProcess")
		}
		sc.Others = append(sc.Others, c)
	}
	if r.one(3) {
		sc.Others = append(sc.Others, r.seized(sc, names)...)
	}
	sc.live(true)
	return sc
}

// seized makes commands that pause a roll, do things to its processes, and have it go on.
func (r *dice) seized(sc UpdateScenario, names []string) (list []Command) {
	at := sc.Start + r.Int64N(3*second)
	say := func(c Command) {
		c.At = at
		list = append(list, c)
		at += pick(r, 0, r.Int64N(50_000), r.Int64N(2*second), r.Int64N(6*second))
	}
	say(Command{Op: "pauseupdate"})
	for range r.between(1, 7) {
		name := pick(r, names...)
		switch r.IntN(12) {
		case 0, 1, 2:
			say(Command{Op: pick(r, "stopProcess", "startProcess"), Name: name, Wait: r.one(2)})
		case 3:
			say(Command{Op: pick(r, "stopProcessGroup", "startProcessGroup"), Name: "g", Wait: r.one(2)})
		case 4:
			say(Command{Op: pick(r, "pauseact", "resumeact", "cancelact")})
		case 5:
			say(Command{Op: pick(r, "update", "apply"), Name: "g"})
			if r.one(3) {
				say(Command{Op: "stopProcessGroup", Name: "g", Wait: true})
				say(Command{Op: "removeProcessGroup", Name: "g"})
				say(Command{Op: pick(r, "update", "resumeupdate")})
			}
		case 6:
			say(Command{Op: pick(r, "pauseupdate", "resumeupdate")})
		default:
			say(Command{Op: "act", Name: pick(r, "stop", "start", "restart", "restart"), Desired: pick(r, []string{name}, []string{name, pick(r, names...)}, []string{"g:*"}), AtOnce: pick(r, 0, 0, 1, 2)})
		}
	}
	say(Command{Op: pick(r, "resumeupdate", "resumeupdate", "resumeupdate", "cancelupdate")})
	return list
}
