package sim

import (
	"cmp"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/process"
)

// Scenario is a set of programs, how their lives go, and what is asked of the supervisor at which time. Its JSON form is what the driver of
// the reference reads.
type Scenario struct {
	Seed     uint64    `json:"seed"`
	Groups   []Group   `json:"groups"`
	Commands []Command `json:"commands"`
	End      int64     `json:"end"` // microseconds; the scenario is left then

	Found map[process.Namespec]core.Found `json:"-"` // what is there already, but for pids
}

// Group is one process group.
type Group struct {
	Name     string    `json:"name"`
	Priority int       `json:"priority"`
	Later    bool      `json:"later"` // not there from the beginning
	Programs []Program `json:"programs"`
}

// Program is one process of a group.
type Program struct {
	Name         string `json:"name"`
	Priority     int    `json:"priority"`
	StartSecs    int    `json:"startsecs"`
	StartRetries int    `json:"startretries"`
	StopWaitSecs int    `json:"stopwaitsecs"`
	Autostart    bool   `json:"autostart"`
	Autorestart  int    `json:"autorestart"` // process.Autorestart
	ExitCodes    []int  `json:"exitcodes"`
	StopSignal   int    `json:"stopsignal"`
	StopAsGroup  bool   `json:"stopasgroup"`
	KillAsGroup  bool   `json:"killasgroup"`
	Lives        []Life `json:"lives"` // used in order, again from the first when they run out

	// What an update may change besides. The zero values are those of a scenario.
	Section string `json:"section,omitempty"` // the program it belongs to; "" = one of its own name
	Num     int    `json:"num,omitempty"`
	Command string `json:"command,omitempty"`
	Stdout  string `json:"stdout,omitempty"` // a log file; "" = AUTO
	Socket  string `json:"socket,omitempty"`

	// What the reference does not know.
	Backoff      process.BackoffSpec `json:"backoff,omitzero"`
	Breaker      process.Rate        `json:"breaker,omitzero"`
	RestartLimit process.Rate        `json:"restart_limit,omitzero"`
	StopTree     bool                `json:"stop_tree,omitempty"`
	KillTree     bool                `json:"kill_tree,omitempty"`
	Gentle       func(*process.Spec) `json:"-"` // nil = nothing
}

// Life is what happens on one spawn. Times are microseconds; negative: never.
type Life struct {
	Fork   string `json:"fork,omitempty"` // the errno of a fork that fails
	Lasts  int64  `json:"lasts"`          // from the spawn to an end of its own accord
	Code   int    `json:"code"`           // exit code of that end; -1 = by a signal
	Stop   int64  `json:"stop"`           // from the stop signal to the end
	Stops  int    `json:"stops"`          // exit code of that end
	Kill   int64  `json:"kill"`           // from SIGKILL to the end
	Denied bool   `json:"denied"`         // no signal can be sent (EPERM)

	// What checks find, which the reference does not know.
	Ready int64 `json:"ready,omitempty"` // from the spawn until it is ready
	Sick  int64 `json:"sick,omitempty"`  // from then until it is not any more; 0: never
	Well  int64 `json:"well,omitempty"`  // from then until it is again; 0: never
	Dead  int64 `json:"dead,omitempty"`  // from the spawn until it is found not to be alive; 0: never
}

// Command is one wish. Op is the name of a method of the reference's control interface, or one of graced's own commands.
type Command struct {
	At     int64  `json:"at"` // microseconds
	Req    uint64 `json:"req"`
	Op     string `json:"op"`
	Name   string `json:"name"`
	Wait   bool   `json:"wait"`
	Signal int    `json:"signal"`

	Desired []string `json:"desired,omitempty"` // with Apply and Leave: the names of the members that shall be; with update: those of groups; with act: what it is about
	Cancel  uint64   `json:"cancel,omitempty"`
	AtOnce  int      `json:"at_once,omitempty"` // with act
	Now     bool     `json:"now,omitempty"`     // likewise

	Roll *process.Roll `json:"roll,omitempty"` // with update
}

// spec turns a program into the machine's own form.
func (p Program) spec() process.Spec {
	s := process.Spec{
		Name: p.Name, Program: cmp.Or(p.Section, p.Name), Num: p.Num, Command: cmp.Or(p.Command, "/bin/true"), Umask: process.UnsetMask, UID: process.UnsetID,
		Priority: p.Priority, Autostart: p.Autostart, Autorestart: process.Autorestart(p.Autorestart),
		StartSecs: p.StartSecs, StartRetries: p.StartRetries, StopSignal: process.Signal(p.StopSignal), StopWaitSecs: p.StopWaitSecs,
		StopAsGroup: p.StopAsGroup, KillAsGroup: p.KillAsGroup, ExitCodes: p.ExitCodes,
		Backoff: p.Backoff, RestartLimit: p.RestartLimit, Breaker: p.Breaker, Tree: process.TreeSpec{Stop: p.StopTree, Kill: p.KillTree},
	}
	if p.Stdout != "" {
		s.Stdout.File = process.LogTarget{Kind: process.LogPath, Path: p.Stdout}
	}
	s.Socket.URL = p.Socket
	if p.Gentle != nil {
		p.Gentle(&s)
	}
	return s
}

// spec turns a group into the machine's own form.
func (g Group) spec() process.GroupSpec {
	out := process.GroupSpec{Name: g.Name, Kind: process.KindHeterogeneous, Priority: g.Priority}
	for _, p := range g.Programs {
		out.Processes = append(out.Processes, p.spec())
	}
	return out
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// exitStatus turns the code of a life into a status.
func exitStatus(code int, sig process.Signal) process.ExitStatus {
	if code < 0 {
		return process.ExitStatus{Signal: sig}
	}
	return process.ExitStatus{Code: code}
}
