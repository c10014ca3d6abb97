package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/daemon"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/takeover"
)

// other is a supervisord that runs, and what it told of itself.
type other struct {
	pid  int
	mood control.Mood
	told takeover.Told
	plan *takeover.Plan
}

// ask asks the supervisord that serves what a configuration says, and hangs up.
func ask(ctx context.Context, c *config.Config) (*other, error) {
	var failures []string
	for _, server := range slices.Backward(c.Servers) { // those in files first: nobody else has them
		o, err := askAt(ctx, server)
		if err == nil {
			return o, nil
		}
		failures = append(failures, "  "+server.URL()+": "+err.Error())
	}
	if len(failures) == 0 {
		return nil, &usageError{"the files have no [unix_http_server] or [inet_http_server] at which a supervisord could be asked"}
	}
	return nil, &usageError{"no supervisord answers that could be taken over:\n" + strings.Join(failures, "\n") + "\n  -> where none runs, start graced: graced -c " + c.Path}
}

func askAt(ctx context.Context, server config.Server) (*other, error) {
	const patience = 3 * time.Second // another program may have the port
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if strings.HasPrefix(server.Password, "{SHA}") {
		return nil, errors.New("its password is only known as a hash, with which nobody can ask: write it into the file as it is")
	}
	cl, err := client.New(server.URL(), server.Username, server.Password)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cl.Close() }() // nothing is under way
	info, err := cl.Daemon(ctx)
	if err != nil {
		return nil, err
	}
	o := &other{pid: info.PID, mood: info.Mood}
	if info.Mood != control.MoodRunning {
		return o, nil
	}
	if o.told.Processes, err = cl.Processes(ctx); err == nil {
		o.told.Configs, err = cl.Configs(ctx)
	}
	return o, err
}

// inspect looks at it from outside.
func (o *other) inspect() (err error) {
	if o.mood != control.MoodRunning {
		o.plan = &takeover.Plan{}
		o.problem(mood, false, process.Namespec{}, "it is "+o.mood.String())
		return nil
	}
	o.plan, err = takeover.Inspect(o.pid, o.told.Info())
	return err
}

func (o *other) problem(kind takeover.Kind, forced bool, name process.Namespec, text string) {
	o.plan.Problems = append(o.plan.Problems, takeover.Problem{Kind: kind, Process: name, Text: text, Forced: forced})
}

// weigh adds what the files have against it.
func (o *other) weigh(c *config.Config, force bool) {
	o.plan.Force = force
	if c.Supervisord.UID == o.plan.Started.UID && os.Geteuid() == 0 { // as whom this daemon will run, too
		o.plan.Problems = slices.DeleteFunc(o.plan.Problems, func(p takeover.Problem) bool { return p.Kind == takeover.OtherUser })
	}
	a := takeover.Adopt(o.told, nil, c.Groups, time.Now())
	o.plan.Problems = append(o.plan.Problems, a.Problems...)
	for _, name := range a.New {
		o.problem(surplus, true, name, "only the files have it: it would be started")
	}
	for i, key := range socketKeys(c, o.plan.Sockets) {
		if key == "" {
			s := o.plan.Sockets[i]
			o.problem(unserved, true, process.Namespec{}, "it listens on "+s.Network+" "+s.Address+", which the files do not")
		}
	}
}

// prey is what was taken from a supervisord that is stopped, until commit or release.
type prey struct {
	pid   int
	taken *takeover.Taken // nil once it is ours
	found []daemon.FoundProcess
}

// seize stops the supervisord of a configuration and takes what it has.
func (s *supervisor) seize(c *config.Config) (*prey, error) {
	s.listen() // who ends us from here on means what we are then
	ctx, cancel := context.WithTimeout(context.Background(), takeoverPatience)
	defer cancel()
	var before passing
	for {
		p, err := s.trySeize(ctx, c)
		if err == nil {
			return p, nil
		}
		if deadline, _ := ctx.Deadline(); before.error != nil && !time.Now().Before(deadline) { // it says that there is no time left
			return nil, before.error
		}
		if !errors.As(err, &before) {
			return nil, err
		}
		if !rest(ctx) {
			return nil, before.error
		}
	}
}

// passing is a reason that may have passed when it is tried again.
type passing struct{ error }

// trySeize tries it once.
func (s *supervisor) trySeize(ctx context.Context, c *config.Config) (*prey, error) {
	o, err := ask(ctx, c)
	if err == nil {
		err = o.inspect()
	}
	if err != nil {
		return nil, err
	}
	o.weigh(c, s.mode == takeoverForce)
	if slices.ContainsFunc(o.plan.Problems, func(p takeover.Problem) bool { return p.Kind == takeover.Changed }) {
		return nil, passing{refused(o.plan.Refusal())}
	}
	taken, err := takeover.Seize(context.Background(), o.plan) // it has patience of its own, and tells the reason
	if errors.Is(err, takeover.ErrChanged) {
		return nil, passing{refused(&takeover.Refused{Problems: []takeover.Problem{{
			Kind: takeover.Changed, Text: "its processes or pipes are others whenever it is stopped than a moment before",
		}}})}
	}
	if err != nil {
		return nil, refused(err)
	}
	p := &prey{pid: o.pid, taken: taken}
	if err := p.sort(s, c, o); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// sort finds a place for everything.
func (p *prey) sort(s *supervisor, c *config.Config, o *other) error {
	listeners := map[string]bool{}
	for _, g := range c.Groups {
		listeners[g.Name] = g.Listener != nil
	}
	there := map[process.Namespec]*host.There{}
	for _, t := range p.taken.Processes {
		if listeners[t.Name.Group] && !t.Waiting && !o.plan.Force {
			return passing{refused(&takeover.Refused{Problems: []takeover.Problem{{
				Kind: listening, Process: t.Name, Text: "it is busy with an event, or does not show that it waits for one", Forced: true,
			}}})}
		}
		there[t.Name] = &host.There{Identity: t.Process.Identity, Pidfd: t.Process.Pidfd, Fds: [3]int{t.Stdin, t.Stdout, t.Stderr}}
	}
	as := takeover.Adopt(o.told, p.taken, c.Groups, time.Now()).Found
	for _, info := range o.told.Processes {
		name := process.Namespec{Group: info.Group, Process: info.Name}
		var was *control.ConfigInfo
		for i, told := range o.told.Configs {
			if told.Group == info.Group && told.Spec.Name == info.Name {
				was = &o.told.Configs[i]
			}
		}
		if f, ok := daemon.FindForeign(c, info, was, as[name], there[name]); ok {
			p.found = append(p.found, f)
		}
	}
	keys := socketKeys(c, o.plan.Sockets)
	for i, t := range p.taken.Sockets {
		if t.FD < 0 {
			return refused(&takeover.Refused{Problems: []takeover.Problem{{Kind: takeover.OldKernel, Text: "its sockets cannot be taken"}}})
		}
		if keys[i] == "" {
			continue
		}
		fd, err := unix.FcntlInt(uintptr(t.FD), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return err
		}
		s.link.Inherit(keys[i], "", fd)
	}
	return nil
}

// commit ends the supervisord: what it had is this daemon's from now on.
func (p *prey) commit(logf logFunc) error {
	if err := p.taken.Commit(); err != nil {
		return err
	}
	for _, t := range p.taken.Sockets {
		_ = unix.Close(t.FD) // the servers and the keeper have their own
	}
	p.taken = nil
	logf(daemon.LevelWarn, "took over what the supervisord with pid %d had", p.pid)
	return nil
}

// release lets the supervisord go on if it is not ours.
func (p *prey) release() {
	if p.taken != nil {
		p.taken.Abort()
		p.taken = nil
	}
}

// replaceSelf runs a command in the place of this process.
func replaceSelf(file string, cmd *exec.Cmd) error { return syscall.Exec(file, cmd.Args, cmd.Env) }
