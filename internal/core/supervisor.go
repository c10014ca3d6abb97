package core

import (
	"fmt"
	"maps"

	"github.com/graced/graced/internal/event"
	"github.com/graced/graced/internal/process"
)

// Supervisor is the machine. It has one owner, who calls Step for every input and carries out the effects in order.
type Supervisor struct {
	opts Options
	now  Now
	out  []Effect // effects of the present Step

	groups []*group // insertion order
	named  map[string]*group
	procs  map[process.ID]*proc
	lastID process.ID

	due      deadlines
	revision uint64

	requests  map[Req]*request // commands that are not answered yet
	sent      map[Token]sending
	lastToken Token

	pools  []*pool // listener groups, in the order of insertion
	wanted event.Set
	serial uint64 // of the next event
	clock  clock

	marks map[process.Namespec]Mark
	ops   map[uint64]*operation // operations under way that have a number

	settled []*proc      // entered a stopped state in this step; looked at by settle
	moved   []*operation // Acts of which a step ended in this step, or that were cancelled; looked at by settle
	lines   []*line      // of updates under way
	shifted bool         // a process has come to work or ceased to in this step, or somebody has decided about an update: lines look whether they can go on
	stirred bool         // a process has changed in this step for which others may wait: looked at by settle

	pending   int     // marks of processes that wait for others, or that are essential and have ended
	dependers []*proc // those that depend on others, once somebody has asked in this step; nil = nobody has

	quit   *quit // set while everything is being stopped
	halted bool
}

// New makes a machine without groups.
func New(opts Options) *Supervisor {
	s := &Supervisor{
		opts:     opts,
		named:    map[string]*group{},
		procs:    map[process.ID]*proc{},
		requests: map[Req]*request{},
		sent:     map[Token]sending{},
		ops:      map[uint64]*operation{},
		marks:    map[process.Namespec]Mark{},
		serial:   opts.EventSerial,
		clock:    clock{due: deadline{fire: actTick}},
	}
	maps.Copy(s.marks, opts.Marks)
	return s
}

// Step advances the machine to now, which fires all due deadlines in order of time, then takes one input. It returns the effects in the
// order in which they are to be carried out; the caller may keep them. A now before an earlier one counts as that one.
func (s *Supervisor) Step(now Now, in Input) []Effect {
	if s.halted {
		return nil
	}
	if now.Mono >= s.now.Mono {
		s.now = now
	}
	s.out, s.dependers = nil, nil
	if in, ok := in.(Exited); ok {
		s.endedBefore(in)
	}
	s.passDeadlines()
	s.watchClock()
	if !s.halted {
		s.take(in)
		s.settle()
	}
	out := s.out
	s.out, s.dependers = nil, nil
	return out
}

// take hands an input to the method that knows about it.
func (s *Supervisor) take(in Input) {
	switch in := in.(type) {
	case Spawned:
		if p := s.live(in.ID, in.Incarnation); p != nil {
			s.spawned(p, in.PID)
		}
	case SpawnFailed:
		if p := s.live(in.ID, in.Incarnation); p != nil {
			s.spawnFailed(p, in.Text)
		}
	case Exited:
		if p := s.live(in.ID, in.Incarnation); p != nil {
			s.exited(p, in)
		}
	case Checked:
		if p := s.live(in.ID, in.Incarnation); p != nil {
			s.checked(p, in)
		}
	case Output:
		if p := s.live(in.ID, in.Incarnation); p != nil {
			s.spoke(p, in)
		}
	case ListenerOutput:
		if p := s.live(in.ID, in.Incarnation); p != nil {
			s.listened(p, in.Data)
		}
	case Signalled:
		s.signalled(in)
	case HookEnded:
		s.hookEnded(in)
	case StdinWritten:
		s.stdinWritten(in)
	case Command:
		s.command(in)
	case Cancel:
		s.cancel(in.Req)
	case Tick:
	default:
		panic(fmt.Sprintf("core: no such input: %T", in))
	}
}

// live returns the process that a piece of news is about, nil when the news is of an earlier life or of a process that was removed.
func (s *Supervisor) live(id process.ID, inc process.Incarnation) *proc {
	p := s.procs[id]
	if p == nil || p.incarnation != inc {
		return nil
	}
	return p
}

// command carries out a wish, unless the machine is about to stop.
func (s *Supervisor) command(c Command) {
	if f := s.closedTo(c); f != nil {
		s.answer(c.Req, f)
		return
	}
	switch do := c.Do.(type) {
	case Start:
		s.start(c.Req, do)
	case Stop:
		s.stop(c.Req, do)
	case SendSignal:
		s.sendSignal(c.Req, do)
	case WriteInput:
		s.writeInput(c.Req, do)
	case AddGroups:
		s.answer(c.Req, s.addGroups(do))
	case RemoveGroup:
		s.answer(c.Req, s.removeGroup(do.Name))
	case AddProcesses:
		s.answer(c.Req, s.addProcesses(do.Group, do.Specs))
	case RemoveProcess:
		s.answer(c.Req, s.removeProcess(do))
	case Apply:
		s.apply(c.Req, do.Plan, goes)
	case Leave:
		s.apply(c.Req, do.Plan, leaves)
	case Update:
		s.update(c.Req, do)
	case Act:
		s.act(c.Req, do)
	case Refresh:
		s.refresh(c.Req, do)
	case Hurry:
		s.answer(c.Req, s.hurryAll(do))
	case SetMark:
		s.answer(c.Req, s.setMark(do))
	case CancelUpdate:
		s.answer(c.Req, s.cancelUpdate(do.Op))
	case PauseUpdate:
		s.answer(c.Req, s.pauseUpdate(do))
	case SendRemote:
		if s.wanted.Has(event.RemoteCommunication) {
			s.notify(event.RemoteCommunication, 0, event.RemotePayload(do.Kind, do.Data))
		}
		s.answer(c.Req, nil)
	case Identify:
		s.opts.Identifier = do.Name
		s.answer(c.Req, nil)
	case Quit:
		s.answer(c.Req, nil)
		s.begin(do.Restart)
	default:
		panic(fmt.Sprintf("core: no such command: %T", do))
	}
}

func (s *Supervisor) emit(e Effect) {
	if s.out == nil {
		s.out = make([]Effect, 0, 8) // few steps have more
	}
	s.out = append(s.out, e)
}

func (s *Supervisor) publish(e Event) { s.emit(Publish{e}) }

// settle does what follows from processes having stopped: surplus members are removed, Acts and a quit go on.
func (s *Supervisor) settle() {
	for len(s.settled)+len(s.moved) > 0 || s.shifted || s.stirred || s.quitting() && !s.halted {
		for i := 0; i < len(s.settled); i++ {
			p := s.settled[i]
			if s.procs[p.id] == p && p.fate == goes && p.state.IsStopped() && p.hook == 0 {
				s.remove(p)
			}
		}
		s.settled = s.settled[:0]
		s.closeGroups()
		s.advanceActs()
		s.advanceLines()
		s.passOn()
		if !s.proceed() && len(s.settled)+len(s.moved) == 0 && !s.shifted && !s.stirred {
			return
		}
	}
}

// unforeseen reports an input that the state of a process does not allow. It means that the world broke its side of the contract.
func (s *Supervisor) unforeseen(p *proc, input string) {
	if s.opts.Strict {
		panic(fmt.Sprintf("core: %s for %s in state %v with pid %d", input, p.namespec(), p.state, p.pid))
	}
	s.publish(Ignored{Group: p.group.name(), Name: p.name, State: p.state, Input: input})
}
