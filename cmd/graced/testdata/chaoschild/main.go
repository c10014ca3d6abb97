// Command chaoschild is what TestChaos has supervised. It keeps its own account of what it does, in files of the directory that it is given, so
// that the test can compare: every life, every exit by itself, how many lines it has written, what it has read.
//
// Usage: chaoschild KIND NAME DIR [GENERATION]. See kinds for what there is.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/graced/graced/internal/host"
)

// pause is the time between two lines.
const pause = 20 * time.Millisecond

var kinds = map[string]func(c *child){
	"lines": func(c *child) { c.writeLines(plain, forever) },
	"comm":  func(c *child) { c.writeLines(captured, forever) },
	"crash": func(c *child) {
		c.writeLines(plain, 1+rand.IntN(100))
		c.exit(rand.IntN(120)) // 126 and above are a shell's
	},
	"deaf": func(c *child) {
		signal.Ignore(syscall.SIGTERM)
		c.writeLines(plain, forever)
	},
	"forks": func(c *child) {
		grandchild := exec.Command(os.Args[0], "grand", c.name+"-g", c.dir, "g0")
		grandchild.Stdout = os.Stdout
		if err := grandchild.Start(); err != nil {
			c.confused(err)
		}
		c.writeLines(plain, forever)
	},
	"gate": func(c *child) { // it is ready by its third line
		release := os.Args[4]
		if !strings.HasPrefix(release, "broken") {
			c.writeLines(plain, forever)
		}
		c.writeLines(plain, 1)
		if n := release[len(release)-1]; n%2 == 0 {
			c.exit(3)
		}
		time.Sleep(time.Hour)
	},
	"grand": func(c *child) {
		parent := os.Getppid()
		for i := 1; os.Getppid() == parent; i++ {
			c.writeLine(i, plain)
			time.Sleep(pause)
		}
	},
	"hooked": func(c *child) {
		c.note("hooks", "life", "begin")
		c.writeLines(plain, forever)
	},
	"hook": hook,
	"base": base,
	"app": func(c *child) {
		c.needsBase()
		c.onTerm(func() { time.Sleep(100 * time.Millisecond) }) // whoever does not wait is seen
		c.writeLines(plain, forever)
	},
	"reads": reads,
	"fcgi":  accepts,
	"ears":  listens,
}

func main() {
	c := &child{kind: os.Args[1], name: os.Args[2], dir: os.Args[3]}
	c.life = fmt.Sprintf("%d.%d", os.Getpid(), time.Now().UnixNano())
	signal.Ignore(syscall.SIGPIPE) // for a moment nobody may hold the other end
	c.begin()
	kinds[c.kind](c)
}

// child is this process.
type child struct {
	kind, name, dir string
	life            string   // names it among all that ever were
	count           *os.File // of lines
}

// begin notes that the life has begun. A lock, which no grandchild inherits, shows whether another one of this name is alive.
func (c *child) begin() {
	switch c.kind {
	case "grand":
		return
	case "hook":
		locked = c.lock(c.name + "-hook")
		if !lone(locked) {
			c.note("hooks", "double", os.Args[4])
		}
		return
	}
	c.note("lives", "begin")
	locked = c.lock(c.name)
	if !lone(locked) {
		c.note("lives", "double")
	}
}

// lock opens the file that says whether a process of that name is alive.
func (c *child) lock(name string) *os.File {
	f, err := os.OpenFile(filepath.Join(c.dir, "locks", name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		c.confused(err)
	}
	return f
}

// lone takes such a file for this process. It fails when another one has it.
func lone(f *os.File) bool {
	return syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}) == nil
}

var locked *os.File // not to be collected

// note appends a line to one of the account's files.
func (c *child) note(file string, words ...any) {
	f, err := os.OpenFile(filepath.Join(c.dir, file), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		os.Exit(125)
	}
	defer f.Close()
	line := c.name + " " + c.life + " " + strings.TrimSuffix(fmt.Sprintln(words...), "\n") + "\n"
	if _, err := io.WriteString(f, line); err != nil {
		os.Exit(125)
	}
}

// confused ends a process that has met what must not be.
func (c *child) confused(why any) {
	c.note("confused", why)
	os.Exit(124)
}

// exit ends it by itself.
func (c *child) exit(code int) {
	c.note("lives", "exit", code)
	os.Exit(code)
}

// dress makes what is written of a line.
type dress func(line string, n int) string

func plain(line string, _ int) string { return "\x1b[1m" + line + "\x1b[0m\n" }

// captured puts something between some of the lines that is not to be seen in the log.
func captured(line string, n int) string {
	if n%10 == 0 {
		return line + "\n<!--XSUPERVISOR:BEGIN-->" + line + "<!--XSUPERVISOR:END-->"
	}
	return line + "\n"
}

const forever = 0

// writeLines writes so many numbered lines, in bursts now and then.
func (c *child) writeLines(as dress, most int) {
	for n := 1; most == forever || n <= most; n++ {
		c.writeLine(n, as)
		if n%100 < 80 {
			time.Sleep(pause)
		}
	}
}

// writeLine writes a line, then counts it. It goes on trying for as long as nobody holds the other end.
func (c *child) writeLine(n int, as dress) {
	data := []byte(as(fmt.Sprintf("%s %s %d", c.name, c.life, n), n))
	for {
		_, err := syscall.Write(1, data) // of a pipe, and short: all or nothing
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.EINTR) {
			c.confused(err)
		}
		time.Sleep(pause)
	}
	if c.count == nil {
		var err error
		if c.count, err = os.Create(filepath.Join(c.dir, "counts", c.name+" "+c.life)); err != nil {
			c.confused(err)
		}
	}
	if _, err := c.count.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(n)), 0); err != nil {
		c.confused(err)
	}
}

// reads notes every line of its standard input. "exit N" is obeyed.
func reads(c *child) {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			if line != "" {
				c.note("read", "torn", strconv.Quote(line))
			}
			c.exit(0)
		}
		line = strings.TrimSuffix(line, "\n")
		c.note("read", line)
		if code, ok := strings.CutPrefix(line, "exit "); ok {
			n, err := strconv.Atoi(code)
			if err != nil {
				c.confused(err)
			}
			c.exit(n)
		}
	}
}

// accepts tells everybody who comes which life it is.
func accepts(c *child) {
	l, err := net.FileListener(os.Stdin)
	if err != nil {
		c.confused(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			c.confused(err)
		}
		_, _ = io.WriteString(conn, c.name+" "+c.life+"\n") // who asked may have gone
		_ = conn.Close()
	}
}

// listens is an event listener that notes every event, and anything that is none.
func listens(c *child) {
	in := bufio.NewReader(os.Stdin)
	say := func(text string) {
		if _, err := io.WriteString(os.Stdout, text); err != nil && !errors.Is(err, syscall.EPIPE) {
			c.confused(err)
		}
	}
	for {
		say("READY\n")
		head, err := in.ReadString('\n')
		if err == io.EOF && head == "" {
			c.exit(0)
		}
		if err != nil {
			c.confused(fmt.Sprintf("%v after %q", err, head))
		}
		words := map[string]string{}
		for _, w := range strings.Fields(head) {
			key, value, _ := strings.Cut(w, ":")
			words[key] = value
		}
		n, err := strconv.Atoi(words["len"])
		if err != nil || words["ver"] != "3.0" {
			c.confused(fmt.Sprintf("header %q", head))
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(in, payload); err != nil {
			c.confused(fmt.Sprintf("%v in the payload of %q", err, head))
		}
		if !whole(words["eventname"], payload) {
			c.confused(fmt.Sprintf("header %q, payload %q", head, payload))
		}
		c.note("events", words["serial"], words["poolserial"], words["eventname"])
		say("RESULT 2\nOK")
	}
}

// whole reports whether a payload begins as those of its type do.
func whole(name string, payload []byte) bool {
	for prefix, begin := range map[string]string{"PROCESS_": "processname:", "TICK_": "when:", "REMOTE_": "type:"} {
		if strings.HasPrefix(name, prefix) {
			return bytes.HasPrefix(payload, []byte(begin))
		}
	}
	return true
}

// hook runs around a process, and takes its time. A pre_start fails now and then.
func hook(c *child) {
	which, code := os.Args[4], 0
	c.note("hooks", which, "begin")
	time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
	if which == "pre_start" && rand.IntN(20) == 0 {
		code = 1
	}
	c.note("hooks", which, "end", code)
	os.Exit(code)
}

// onTerm ends a process by itself when it is told to stop, after it has done something.
func (c *child) onTerm(do func()) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		do()
		c.exit(0)
	}()
}

// baseLines is how many lines base has written when it is ready.
const baseLines = 3

// base is needed by others. While everything is being stopped it has to be the last.
func base(c *child) {
	c.onTerm(func() {
		_, err := os.Stat(filepath.Join(c.dir, "over"))
		for i := 0; err == nil && i < 2; i++ {
			if f := c.lock(fmt.Sprintf("app_%d", i)); !lone(f) {
				c.note("confused", "told to stop while", filepath.Base(f.Name()), "is alive")
			}
		}
	})
	for n := 1; ; n++ {
		if n == baseLines {
			time.Sleep(200 * time.Millisecond) // whoever does not wait is seen
		}
		c.writeLine(n, plain)
		time.Sleep(pause)
	}
}

// needsBase checks that base was there, ready and of no older release, when this process was started. One that has died since says nothing: it may have been
// good enough when it was looked at. One that is about as old as this process says nothing either if there was another one shortly before.
func (c *child) needsBase() {
	text, err := os.ReadFile(filepath.Join(c.dir, "lives"))
	if err != nil {
		c.confused(err)
	}
	life, before := "", ""
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "base_0" && words[2] == "begin" {
			life, before = words[1], life
		}
	}
	pid, _, _ := strings.Cut(life, ".")
	id, err := strconv.Atoi(pid)
	if err != nil {
		c.confused("it was started before base")
	}
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id)) // it may have ended
	words := strings.Split(string(line), "\x00")
	base, err := host.ReadStat(id)
	if err != nil || len(words) < 5 || words[1] != "base" {
		return
	}
	me, err := host.ReadStat(os.Getpid())
	if err != nil {
		c.confused(err)
	}
	const close = 3 // hundredths of a second: they may have been started in either order
	if base.StartTime+close > me.StartTime {
		at, err := os.Stat(filepath.Join(c.dir, "counts", "base_0 "+before))
		if err == nil && time.Since(at.ModTime()) < 2*time.Second {
			return
		}
	}
	data, _ := os.ReadFile(filepath.Join(c.dir, "counts", "base_0 "+life)) // there may be none yet
	n := 0
	if len(data) >= 8 {
		n = int(binary.LittleEndian.Uint64(data))
	}
	if n < baseLines-1 { // the last may be written and not counted
		c.note("confused", "it was started while base had written", n, "lines")
	}
	if generation(words[4]) < generation(os.Args[4]) {
		c.note("confused", "is of", os.Args[4], "and was started while base was of", words[4])
	}
}

// generation returns the number of a release.
func generation(name string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "g")) // all are of that form
	return n
}
