package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// sight is a child that /proc shows.
type sight struct {
	pid        int
	parent     int
	kind, name string
	generation string
	life       string // names it among all that ever were
}

// scan finds the living children of a test, grandchildren too, by their command lines.
func scanChildren(dir string) (out []sight) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
	for _, path := range paths {
		line, err := os.ReadFile(path)
		words := strings.Split(string(line), "\x00")
		if err != nil || len(words) < 5 || filepath.Base(words[0]) != "chaoschild" || words[3] != dir {
			continue
		}
		s := sight{kind: words[1], name: words[2], generation: words[4]}
		s.pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
		stat, err := host.ReadStat(s.pid)
		if err != nil || stat.State == 'Z' || stat.State == 'X' {
			continue
		}
		s.life, s.parent = fmt.Sprintf("%d.%d", s.pid, stat.StartTime), stat.Parent
		out = append(out, s)
	}
	return slices.DeleteFunc(out, func(s sight) bool { // a fork that is about to execute something still looks like its parent
		return slices.ContainsFunc(out, func(p sight) bool { return s.parent == p.pid && s.name == p.name })
	})
}

func (c *chaos) scan() []sight { return scanChildren(c.dir) }

// apart reports whether it is neither what another child has started nor a command around one.
func (s sight) apart() bool { return s.kind != "grand" && s.kind != "hook" }

// killChildren leaves nothing behind.
func killChildren(dir string) {
	for _, s := range scanChildren(dir) {
		_ = syscall.Kill(s.pid, syscall.SIGKILL) // it may have ended
	}
}

// lives returns the life of each process.
func (c *chaos) lives() map[string]string {
	out := map[string]string{}
	for _, s := range c.scan() {
		if s.apart() {
			out[s.name] = s.life
		}
	}
	return out
}

// whole waits until there is one keeper and one daemon, and all agree on which.
func (c *chaos) whole() {
	c.t.Helper()
	c.await("there is one keeper and one daemon, and all agree on which", func() string {
		keeper, all := c.keeperPID(), mates(c.dir)
		if len(all) == 0 && c.upgrading && c.nobody() {
			c.count("keeper killed between two daemons")
			c.forgetful = true
			c.again()
		}
		ctx, cancel := c.patience()
		defer cancel()
		info, err := c.Daemon(ctx)
		if len(all) == 2 && slices.Contains(all, keeper) && err == nil && info.PID == keeper {
			return ""
		}
		return fmt.Sprintf("the pid file says %d, the daemon %d (%v), there are %v", keeper, info.PID, err, all)
	})
}

// patience is for one question: whoever does not answer within it hangs.
func (c *chaos) patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.t.Context(), 20*time.Second)
}

// await waits until trouble reports none.
func (c *chaos) await(what string, trouble func() string) {
	c.t.Helper()
	last := "-"
	defer func() {
		if last != "" {
			c.t.Error(last)
		}
	}()
	c.until(what, func() bool { last = trouble(); return last == "" })
}

// sameKeepers notes when a daemon had to begin anew because its keeper was killed before it had told everything: that is as if both had been.
func (c *chaos) sameKeepers() {
	c.t.Helper()
	ctx, cancel := c.patience()
	defer cancel()
	d, err := c.Doctor(ctx)
	if err != nil {
		c.t.Error(err)
	}
	if d.Generation < c.generation && !c.forgetful {
		c.count("keeper killed before it had told everything")
		c.forgetful = true
	}
	c.generation = d.Generation
}

// settle waits until nothing changes any more.
func (c *chaos) settle() {
	c.t.Helper()
	c.whole()
	c.sameKeepers()
	c.await("all is at rest", func() string {
		c.resume() // what nobody has decided about
		ctx, cancel := c.patience()
		defer cancel()
		list, err := c.Processes(ctx)
		if err != nil {
			return err.Error()
		}
		there := c.scan()
		for _, p := range list {
			if p.State == process.Running && p.Group != "crash" && !slices.ContainsFunc(there, func(s sight) bool { return s.pid == p.PID }) {
				return fmt.Sprintf("%s is RUNNING with pid %d, which is dead", p.Name, p.PID)
			}
			if p.Group != "crash" && slices.Contains([]process.State{process.Starting, process.Stopping, process.Backoff}, p.State) {
				return fmt.Sprintf("%s is %v", p.Name, p.State)
			}
		}
		ops, err := c.Operations(ctx)
		if err != nil {
			return err.Error()
		}
		for _, o := range ops {
			if !o.State.Over() {
				return fmt.Sprintf("%+v", o)
			}
		}
		return ""
	})
	j := c.readJournal()
	for name, p := range c.infos() {
		if p.Group == "once" && p.State == process.Exited {
			life := j.last(name)
			if code, ok := j.exits[life]; ok && code != p.ExitStatus || !ok && c.licences[name] == "" {
				c.t.Errorf("%s ended with %d, and the daemon says %d", name, code, p.ExitStatus)
			}
			c.count("exits compared")
		}
	}
}

// restore makes everything run that the files name.
func (c *chaos) restore() {
	c.t.Helper()
	c.mend()
	out := ""
	c.until("what runs is what the files say", func() bool {
		out, _ = c.ctl("gracectl", "update")
		p, err := c.Plan(c.t.Context(), control.PlanRequest{})
		return err == nil && p.Empty()
	})
	c.tell("update: %s", strings.TrimSpace(out))
	c.until("everything runs", func() bool {
		if _, err := c.Start(c.t.Context(), control.Target{All: true}, true); err != nil {
			return false
		}
		return !slices.ContainsFunc(slices.Collect(values(c.infos())), func(p control.ProcessInfo) bool { return p.Group != "crash" && p.State != process.Running })
	})
}

func values[K comparable, V any](m map[K]V) func(func(V) bool) {
	return func(yield func(V) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// check looks at everything.
func (c *chaos) check() {
	c.t.Helper()
	c.checkProcesses()
	j := c.readJournal()
	for _, trouble := range j.trouble {
		c.t.Error(trouble)
	}
	c.checkConfused()
	c.checkLogs(j, false)
	c.checkInputs()
	c.checkExits()
	c.checkHooks()
	c.askFCGI()
	c.checkDescriptors()
	c.before = c.lives()
}

// checkConfused reports what children have met that must not be.
func (c *chaos) checkConfused() {
	c.t.Helper()
	if text, err := os.ReadFile(c.path("confused")); err == nil {
		c.t.Errorf("children have met what must not be:\n%s", text)
	}
}

// checkProcesses compares what the daemon says, what there is, and what was before.
func (c *chaos) checkProcesses() {
	c.t.Helper()
	j := c.readJournal()
	infos, seen := c.infos(), map[string]sight{}
	for _, s := range c.scan() {
		if !s.apart() {
			continue
		}
		if other, twice := seen[s.name]; twice && program(s.name) != "crash" {
			c.t.Errorf("%s is there twice: %d and %d", s.name, other.pid, s.pid)
		}
		seen[s.name] = s
	}
	count := 0
	for _, p := range chaosPrograms {
		n := p.numprocs
		if p.name == "flip" {
			n += c.files.flips
		}
		count += n
		for i := range n {
			name := fmt.Sprintf("%s_%d", p.name, i)
			info, s := infos[name], seen[name]
			switch {
			case p.name == "crash":
			case info.State != process.Running || info.PID != s.pid:
				c.t.Errorf("%s is %v with pid %d, and there is pid %d", name, info.State, info.PID, s.pid)
			case p.name == "flip" && s.generation != fmt.Sprintf("g%d", c.files.generation):
				c.t.Errorf("%s is of generation %s, not %d", name, s.generation, c.files.generation)
			case (p.name == "base" || p.name == "app") && s.generation != fmt.Sprintf("g%d", c.files.stack):
				c.t.Errorf("%s is of release %s, not %d", name, s.generation, c.files.stack)
			case p.name == "gate" && s.generation != c.files.gate():
				c.t.Errorf("%s is of release %s, not %s", name, s.generation, c.files.gate())
			}
			delete(seen, name)
			was := c.before[name]
			pid, _, _ := strings.Cut(was, ".")
			if was != "" && c.licences[name] == "" && p.name != "crash" && s.life != was && !j.endedByItself(name, pid) {
				c.t.Errorf("%s, which nothing has touched, was %s and is %s", name, was, s.life)
			}
		}
	}
	if len(infos) != count {
		c.t.Errorf("there are %d processes, not %d", len(infos), count)
	}
	for name, s := range seen {
		c.t.Errorf("nobody knows of %s with pid %d", name, s.pid)
	}
}

// journal is what the children have noted of their lives.
type journal struct {
	lives   map[string][]string // in their order, by the process's name
	exits   map[string]int      // of lives that ended by themselves
	trouble []string
}

func (c *chaos) readJournal() journal {
	j := journal{lives: map[string][]string{}, exits: map[string]int{}}
	text, err := os.ReadFile(filepath.Join(c.dir, "lives"))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		name, life := words[0], words[1]
		switch words[2] {
		case "begin":
			j.lives[name] = append(j.lives[name], life)
		case "exit":
			j.exits[life], _ = strconv.Atoi(words[3])
		default:
			j.trouble = append(j.trouble, fmt.Sprintf("%s began while another was alive: %s", name, line))
		}
	}
	return j
}

// last is the latest life of a process, "" if there was none.
func (j journal) last(name string) string {
	if lives := j.lives[name]; len(lives) > 0 {
		return lives[len(lives)-1]
	}
	return ""
}

// endedByItself reports whether a process that had the pid has exited.
func (j journal) endedByItself(name, pid string) bool {
	life := j.withPID(name, pid)
	_, exited := j.exits[life]
	return exited
}

// withPID returns the latest life of a process with that pid.
func (j journal) withPID(name, pid string) string {
	for _, life := range slices.Backward(j.lives[name]) {
		if strings.HasPrefix(life, pid+".") {
			return life
		}
	}
	return ""
}

// checkExits compares how processes ended with what the daemon tells of it.
func (c *chaos) checkExits() {
	c.t.Helper()
	for name, p := range c.infos() {
		if p.Group != "crash" && c.licences[name] == "" {
			continue
		}
		why, err := c.Why(c.t.Context(), p.Group+":"+name)
		if err != nil {
			c.t.Error(err)
			continue
		}
		j := c.readJournal() // after the question
		for _, m := range why.Timeline {
			if m.Type != "exit" || m.Time.Before(c.began) {
				continue
			}
			life := j.withPID(name, strconv.Itoa(m.PID))
			code, byItself := j.exits[life]
			c.count("exits compared")
			switch {
			case m.Exit == nil && m.Signal == "":
				c.t.Errorf("how %s ended is not known: %+v", name, m)
			case m.Exit != nil && (!byItself || *m.Exit != code):
				c.t.Errorf("%s (%s) exited with %d (%v), and the daemon says %d", name, life, code, byItself, *m.Exit)
			case m.Exit == nil && byItself && c.licences[name] == "":
				c.t.Errorf("%s (%s) exited with %d, and the daemon says %s", name, life, code, m.Signal)
			}
		}
	}
}

// chaosInput is what was written to the standard input of a process.
type chaosInput struct {
	last     int
	accepted map[int]bool // what the daemon has said yes to, and is not found yet
}

// checkInputs checks that what was accepted was read, each once and in its order, and nothing else. What a process that was ended had not read yet is
// lost.
func (c *chaos) checkInputs() {
	c.t.Helper()
	for name, in := range c.inputs {
		c.until("what was written to "+name+" is read", func() bool {
			text, err := os.ReadFile(filepath.Join(c.dir, "read"))
			if err != nil && !os.IsNotExist(err) {
				c.t.Fatal(err)
			}
			last, missing := 0, len(in.accepted)
			for line := range strings.Lines(string(text)) {
				words := strings.Fields(line)
				if words[0] != name {
					continue
				}
				n, err := strconv.Atoi(words[2])
				if err != nil || n <= last || n > in.last {
					c.t.Fatalf("after %d there was %q", last, line)
				}
				last = n
				if in.accepted[n] {
					missing--
				}
			}
			return missing == 0 || c.licences[name] != ""
		})
		c.tally["lines of input compared"] += len(in.accepted)
		if c.licences[name] != "" {
			clear(in.accepted)
		}
	}
}

// chaosLog is how far a log has been read.
type chaosLog struct {
	read    map[uint64]int64 // bytes, by the inode
	part    string           // of a line
	last    map[string]int   // the number of the last line of each life, by its words
	loss    int              // the last scene in which something was lost, or may have been
	torn    bool             // the next line may be the rest of one that was lost in part
	cut     map[string]bool  // of these lives the rest may be lost: nobody was there when they ended
	gap     map[string]bool  // of these lives something was lost, or may have been, and nothing is seen yet of what came after
	place   int              // of the life that writes, in the journal
	checked int              // so many lives were compared with their accounts
}

// checkLogs reads on in all logs. over: nobody writes any more.
func (c *chaos) checkLogs(j journal, over bool) {
	c.t.Helper()
	for name := range j.lives {
		i := slices.IndexFunc(chaosPrograms, func(p chaosProgram) bool { return p.name == program(name) })
		if !strings.HasPrefix(chaosPrograms[i].options, keptLines) {
			continue
		}
		if c.logs[name] == nil {
			c.logs[name] = &chaosLog{read: map[uint64]int64{}, last: map[string]int{}, cut: map[string]bool{}, gap: map[string]bool{}}
		}
		c.checkLog(name, c.logs[name], over)
	}
}

// checkLog checks that every line is there once and in its order, over all files of a log.
func (c *chaos) checkLog(name string, l *chaosLog, over bool) {
	c.t.Helper()
	text := l.part + l.readOn(c, filepath.Join(c.dir, "logs", name+".log"))
	j := c.readJournal() // it knows every life that has written by now
	gaps := c.lossy || c.forgetful && (c.strip || slices.Contains([]string{"told", "comm", "gate", "base"}, program(name)))
	if gaps {
		l.torn, l.loss = true, c.number
		for key := range l.last {
			l.gap[key] = true
		}
		for _, life := range j.lives[name][l.checked:] { // nothing of one that has just begun need have been seen
			l.gap[name+" "+life] = true
		}
	}
	for {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			break
		}
		text = rest
		c.count("lines compared")
		bare := strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[1m"), "\x1b[0m")
		words := strings.Fields(bare)
		if len(words) != 3 || (words[0] != name && words[0] != name+"-g") || (len(bare) != len(line)) != (!c.strip && program(name) != "comm") {
			if !l.torn {
				c.t.Errorf("%s: line %q after %s", name, line, j.lives[name][l.place])
			}
			continue
		}
		n, _ := strconv.Atoi(words[2])
		key := words[0] + " " + words[1]
		was := l.last[key]
		begun := was == 0 && l.loss > 0 && c.number <= l.loss+1 // it may have begun, and nothing of it be there
		if n != was+1 && (!gaps && !l.gap[key] && !begun || n <= was) {
			c.t.Errorf("%s: line %d after %d", key, n, was)
		}
		if !gaps {
			l.torn = false
			delete(l.gap, key)
		}
		l.last[key] = n
		if words[0] != name {
			continue
		}
		place := slices.Index(j.lives[name], words[1])
		if place < l.place {
			c.t.Errorf("%s: line %q after one of %s", name, line, j.lives[name][l.place])
		}
		l.place = max(l.place, place)
	}
	l.part = text
	lives := j.lives[name]
	if last := j.last(name); c.forgetful && !slices.ContainsFunc(c.scan(), func(s sight) bool { return s.name == name && strings.HasPrefix(last, fmt.Sprintf("%d.", s.pid)) }) {
		l.cut[name+" "+last] = true
	}
	for ; l.checked < len(lives)-1 || over && l.checked < len(lives); l.checked++ {
		key := name + " " + lives[l.checked]
		written, got := c.account(key), l.last[key]
		if got != written && got != written+1 && (!gaps && !l.gap[key] && !l.cut[key] && !c.forgetful || got > written) {
			c.t.Errorf("%s has written %d lines, and the log has %d", key, written, got)
		}
		delete(l.last, key)
		delete(l.gap, key)
		delete(l.cut, key)
	}
}

// account returns how many lines a life says it has written, and forgets it. It may have written one more.
func (c *chaos) account(key string) int {
	path := filepath.Join(c.dir, "counts", key)
	data, err := os.ReadFile(path)
	if err != nil || len(data) < 8 {
		return 0
	}
	_ = os.Remove(path) // there are many
	return int(binary.LittleEndian.Uint64(data))
}

// readOn returns what has come to the files of a log.
func (l *chaosLog) readOn(c *chaos, path string) string {
	c.t.Helper()
	var files []*os.File
	c.until("the files of a log are seen between two rotations", func() bool {
		for _, f := range files {
			f.Close()
		}
		files = openLog(path)
		again := openLog(path)
		defer func() {
			for _, f := range again {
				f.Close()
			}
		}()
		return slices.EqualFunc(files, again, func(a, b *os.File) bool { return inodeOf(a) == inodeOf(b) })
	})
	var b strings.Builder
	for _, f := range files {
		inode := inodeOf(f)
		n, err := io.Copy(&b, io.NewSectionReader(f, l.read[inode], 1<<40))
		if err != nil {
			c.t.Fatal(err)
		}
		l.read[inode] += n
		f.Close()
	}
	return b.String()
}

// openLog opens the files of a log, the oldest first.
func openLog(path string) (files []*os.File) {
	for i := 0; ; i++ {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		f, err := os.Open(name)
		if err != nil && i > 0 {
			break
		}
		if err == nil {
			files = append(files, f)
		}
	}
	slices.Reverse(files)
	return files
}

func inodeOf(f *os.File) uint64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// descriptors lists those of a process.
func descriptors(pid int) (out []int) {
	names, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // it may have ended
	for _, e := range names {
		fd, _ := strconv.Atoi(e.Name())
		out = append(out, fd)
	}
	return out
}

// kindsOf counts the descriptors of a process by what they are.
func kindsOf(pid int) map[string]int {
	out := map[string]int{}
	for _, fd := range descriptors(pid) {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)) // it may have been closed
		kind, _, _ := strings.Cut(to, ":")
		out[kind]++
	}
	return out
}

// checkDescriptors checks that daemon and keeper hold what they held at first, and that no zombies are left.
func (c *chaos) checkDescriptors() {
	c.t.Helper()
	const few = 8
	for who, pid := range map[string]int{"daemon": c.theDaemon(), "keeper": c.keeperPID()} {
		c.await("the "+who+" has as many descriptors as before", func() string {
			n := len(descriptors(pid)) - 5*c.files.flips
			if c.rest[who] == 0 {
				c.rest[who] = n
			}
			most := c.rest[who] + few
			if who == "keeper" {
				most += len(c.before) // one that did not start them has one more of each process, to wait for its end
			}
			if n > c.rest[who]-few && n < most {
				return ""
			}
			return fmt.Sprintf("%d, not %d: %v", n, c.rest[who], kindsOf(pid))
		})
		c.until("the "+who+" has no zombies", func() bool { return zombiesOf(pid) == 0 })
	}
}

// zombiesOf counts the children of a process that have ended and were not reaped.
func zombiesOf(pid int) (n int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range stats {
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if stat, err := host.ReadStat(child); err == nil && stat.State == 'Z' && stat.Parent == pid {
			n++
		}
	}
	return n
}

// finish ends the daemon, and looks for what is left.
func (c *chaos) finish() {
	if c.t.Failed() {
		return
	}
	c.put("over", "")
	if err := c.Shutdown(c.t.Context()); err != nil {
		c.t.Error(err)
	}
	deadline := time.Now().Add(time.Minute)
	for len(mates(c.dir))+len(c.scan()) > 0 && time.Now().Before(deadline) {
		<-time.After(20 * time.Millisecond)
	}
	if left := len(mates(c.dir)) + len(c.scan()); left > 0 {
		c.t.Errorf("%d processes are left: %v %v", left, mates(c.dir), c.scan())
	}
	c.lossy, c.forgetful = false, false
	c.checkConfused()
	c.checkLogs(c.readJournal(), true)
	c.readHooks()
	for name, h := range c.hooks {
		if !h.cleaned {
			c.t.Errorf("%s has ended without a post_stop", name)
		}
	}
	for _, name := range []string{"s.pid", "s.sock", "s.pid.ledger"} {
		if _, err := os.Lstat(filepath.Join(c.dir, name)); err == nil {
			c.t.Errorf("%s is left", name)
		}
	}
}

// hookStory is what the commands around a process have told so far of its present life.
type hookStory struct {
	read     int    // lines
	prepared bool   // the last of them was a pre_start that went well
	lived    bool   // there was a life
	unseen   bool   // it has not said so itself yet: the commands may be faster
	readied  bool   // post_ready has begun
	ending   bool   // pre_stop has begun
	cleaned  bool   // post_stop has begun
	last     string // line
}

// checkHooks checks that the commands around each process ran, each once in a life, in their order, one at a time.
func (c *chaos) checkHooks() {
	c.t.Helper()
	c.until("the commands that follow a start have begun", func() bool {
		c.readHooks()
		for _, h := range c.hooks {
			if !h.readied && !c.forgetful && !c.hookKilled {
				return false
			}
		}
		return true
	})
}

// readHooks reads on in what the commands around processes have noted.
func (c *chaos) readHooks() {
	c.t.Helper()
	text, err := os.ReadFile(c.path("hooks"))
	if err != nil {
		c.t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, " ")
		lines[name] = append(lines[name], line)
	}
	for name, all := range lines {
		h := c.hooks[name]
		if h == nil {
			h = &hookStory{cleaned: true}
			c.hooks[name] = h
		}
		for _, line := range all[h.read:] {
			if trouble := h.next(strings.Fields(line)[2:], c.forgetful || c.hookKilled); trouble != "" {
				c.t.Errorf("%s: %s: %q after %q", name, trouble, line, h.last)
			}
			h.last = line
			c.count("notes of hooks compared")
		}
		h.read = len(all)
	}
}

// next takes the next note, and says what is wrong with it. forgetful: what was under way may have been forgotten, or was killed.
func (h *hookStory) next(words []string, forgetful bool) (trouble string) {
	prepared := h.prepared
	h.prepared = false
	what := strings.Join(words, " ")
	if prepared && slices.Contains([]string{"life begin", "post_ready begin", "pre_stop begin", "post_stop begin"}, what) {
		*h = hookStory{read: h.read, lived: true, unseen: true, last: h.last}
	}
	switch what {
	case "life begin":
		if !h.unseen {
			trouble = "started without a pre_start that went well"
		}
		h.unseen = false
	case "pre_start begin":
		if !h.cleaned && !forgetful {
			trouble = "is to start before post_stop of its last life"
		}
	case "pre_start end 0":
		h.prepared = true
	case "post_ready begin":
		if !h.lived || h.readied || h.cleaned {
			trouble = "not once in a life"
		}
		h.readied = true
	case "pre_stop begin":
		if !h.lived || h.ending || h.cleaned {
			trouble = "not once in a life"
		}
		h.ending = true
	case "post_stop begin":
		if !h.lived || h.cleaned {
			trouble = "not once in a life"
		}
		h.cleaned = true
	case "pre_start end 1", "post_ready end 0", "pre_stop end 0", "post_stop end 0":
	default:
		trouble = "two commands at once"
	}
	return trouble
}
