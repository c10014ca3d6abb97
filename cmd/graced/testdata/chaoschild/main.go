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
	if c.kind == "grand" {
		return
	}
	c.note("lives", "begin")
	lock, err := os.OpenFile(filepath.Join(c.dir, "locks", c.name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		c.confused(err)
	}
	if err := syscall.FcntlFlock(lock.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}); err != nil {
		c.note("lives", "double")
	}
	locked = lock
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
