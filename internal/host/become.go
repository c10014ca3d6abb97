package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A keeper becomes another program by executing it: the process stays, with its pid, its children and its descriptors, and what the keeper knows is in
// a manifest. What happens meanwhile waits in the kernel: the ends of processes, and what the daemon says.

// trialName is argv[0] of a program that is asked whether it could go on where a keeper is. Its argument is the descriptor of a manifest.
const trialName = "graced: could it be the keeper"

// trialPassed is the exit status that says yes. What does not know the name ends with no such status.
const trialPassed = 87

// standTrial reads a manifest and returns the exit status that says whether it could be read.
func standTrial(text string) int {
	fd, err := strconv.Atoi(text)
	if err == nil {
		_, err = emptyKeeper(KeeperOptions{}).read(fd)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "graced: cannot go on where the keeper is:", err)
		return 1
	}
	return trialPassed
}

// stale reports whether daemons are started from another file than the one that this process runs, and that was not declined.
func (k *Keeper) stale() bool {
	if k.declined {
		return false
	}
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		return false
	}
	next, err := k.binary.Stat()
	return err == nil && !os.SameFile(own, next)
}

// try finds out whether the program that daemons are started from could be the keeper, at most until ctx ends.
func (k *Keeper) try(ctx context.Context) <-chan error {
	tried := make(chan error, 1)
	go func() { tried <- k.trial(ctx) }()
	return tried
}

func (k *Keeper) trial(ctx context.Context) error {
	k.mu.Lock()
	m := k.manifest(nil)
	k.mu.Unlock()
	file, err := m.memory()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it is complete
	const fd = 3
	g, err := k.launch(&k.candidate, []string{trialName, strconv.Itoa(fd)}, k.o.Environ, []uintptr{0, 1, 2, file.Fd()})
	if err != nil {
		return fmt.Errorf("cannot execute %s: %w", k.binary.Name(), err)
	}
	select {
	case status := <-g.ended:
		if status.Exited() && status.ExitStatus() == trialPassed {
			return nil
		}
		return fmt.Errorf("%s cannot take its place (%s)", k.binary.Name(), exitStatus(status))
	case <-ctx.Done():
		k.end(g)
		<-g.ended
		return fmt.Errorf("%s did not say in time whether it can take its place", k.binary.Name())
	}
}

// errAlone says that it was no time to become another program, since there is no daemon to go on with. That speaks against no program.
var errAlone = errors.New("there is no daemon")

// become executes the program that daemons are started from in the place of this one. It returns, with everything as before, when that cannot be.
func (k *Keeper) become(d *generation) error {
	k.mu.Lock()
	w := k.wire
	k.mu.Unlock()
	if w == nil {
		return errAlone
	}
	w.pause()
	d.serving.Wait()
	k.forks.Wait()
	k.trees.Wait()
	k.stopReaping()
	hearAgain := hearNothing()
	signal.Stop(k.quit) // what a handler has taken by now is in it; one that is at work still ends this process
	err := k.exec(w, d)
	hearAgain()
	k.hearDeadly()
	k.startReaping()
	k.mu.Lock()
	served := k.wire != w
	k.mu.Unlock()
	if !served {
		w.proceed()
		d.serving.Go(func() { k.serve(w, d) })
	}
	return err
}

// hearNothing prepares for the time until the next program takes signals; what it returns undoes that. They cannot wait for it: a Go program unblocks what
// is blocked before it has set its handlers. One that is to end the keeper does so, by the kernel's hand, and the daemon, which sees how the keeper has
// ended, obeys it. The others would end it as well, and are not worth that. Go's runtime is not asked: while it turns from one to the other, a signal whose
// handler is at work ends the process.
func hearNothing() (undo func()) {
	was := make([]action, len(passedOn))
	for i, s := range passedOn {
		to := ignoring
		if deadly(s) {
			to = action{}
		}
		was[i] = swapAction(s.(syscall.Signal), to)
	}
	return func() {
		for i, s := range passedOn {
			swapAction(s.(syscall.Signal), was[i])
		}
	}
}

// exec does it when all is at rest.
func (k *Keeper) exec(w *wire, d *generation) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wire != w || d.gone { // its other end was closed, or the daemon is reaped: the next program would wait for that for ever
		return errAlone
	}
	for _, c := range []chan os.Signal{k.quit, k.hup, k.usr2} {
		for len(c) > 0 {
			k.asked = append(k.asked, int((<-c).(syscall.Signal)))
		}
	}
	own, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = own.Close() }() // only read
	m := k.manifest(w)
	file, err := m.memory()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it is complete
	next := &beginning{manifest: int(file.Fd()), before: int(own.Fd())}
	fds := append(m.fds, next.manifest, next.before)
	for _, fd := range fds {
		setCloseOnExec(fd, false)
	}
	err = execute(k.binary, k.o.Argv, k.o.Environ, next)
	for _, fd := range fds {
		setCloseOnExec(fd, true)
	}
	k.tellAsked()
	return fmt.Errorf("cannot execute %s: %w", k.binary.Name(), err)
}

// tellAsked tells the daemon of the signals that nobody was told of. The mutex is held.
func (k *Keeper) tellAsked() {
	for _, s := range k.asked {
		if k.wire == nil {
			return
		}
		k.tell(&gotSignal{s})
	}
	k.asked = nil
}

// tellProgram tells the daemon which program the keeper runs, and why if it was to become another one. The mutex is held.
func (k *Keeper) tellProgram(why string) {
	if k.declined = why != ""; k.declined {
		k.tell(&trouble{"the keeper goes on with the program before: " + why})
	}
	k.tell(&became{ownProgram(), why})
}

// ownProgram is the path of the program of this process.
func ownProgram() string {
	path, _ := os.Readlink("/proc/self/exe") // it is shown, no more
	return strings.TrimSuffix(path, " (deleted)")
}

// goBack executes the program before again, which can read what it has written. It returns when there is none or it cannot be executed.
func goBack(o KeeperOptions, why error) error {
	if begun.before < 0 {
		return why
	}
	hearNothing()
	setCloseOnExec(begun.manifest, false)
	before := os.NewFile(uintptr(begun.before), "program")
	back := &beginning{manifest: begun.manifest, before: -1, why: fmt.Sprintf("%s: %v", ownProgram(), why)}
	return errors.Join(why, execute(before, o.Argv, o.Environ, back))
}

// goOn makes this keeper the one whose manifest was read.
func (k *Keeper) goOn(l *legacy) (*generation, error) {
	closeAll([]int{begun.manifest, begun.before})
	for _, fd := range l.fds {
		setCloseOnExec(fd, true)
	}
	k.dir = l.dir
	if l.binary >= 0 {
		_ = k.binary.Close() // only read
		k.binary = aside(os.NewFile(uintptr(l.binary), fileOf(l.binary)))
	}
	if k.setUp != nil {
		k.setUp.sigpipe()
		k.cgroups.resume(k.setUp.Cgroup, &l.estate)
		if err := k.startForking(); err != nil {
			return nil, err
		}
	}
	w, err := newWire(l.link)
	if err != nil {
		return nil, err
	}
	w.in, w.queue = l.in, l.queue
	d := newGeneration(l.daemon)
	d.isReady.Do(func() { close(d.ready) })
	d.left = l.left
	k.mu.Lock()
	defer k.mu.Unlock()
	k.daemon, k.wire = d, w
	k.daemonPID.Store(int64(d.pid))
	w.proceed() // first what was said before
	k.tellAsked()
	k.tellProgram(begun.why)
	for _, c := range k.children {
		switch {
		case c.over && !c.ended:
			k.await(c, treeLookFirst)
		case c.foreign && !c.over:
			if err := k.watchForeign(c); err != nil {
				k.tell(&trouble{fmt.Sprintf("cannot watch process %d: %v", c.pid, err)})
			}
		}
	}
	k.sweepRest()
	d.serving.Go(func() { k.serve(w, d) })
	return d, nil
}

// sweepRest removes, as soon as nobody lives in them, the groups of processes that are not known any more. The mutex is held.
func (k *Keeper) sweepRest() {
	_, base, _ := k.cgroups.places()
	if base == "" {
		return
	}
	dirs, _ := filepath.Glob(filepath.Join(base, "*.*")) // the pattern is good
	for _, c := range k.children {
		if i := slices.Index(dirs, c.cgroup); i >= 0 {
			dirs = slices.Delete(dirs, i, i+1)
		}
	}
	for _, dir := range dirs {
		k.sweep(dir)
	}
}
