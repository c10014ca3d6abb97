package takeover

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain runs this binary as a child of supervisord when it was started as one.
func TestMain(m *testing.M) {
	if os.Getenv("TAKEOVER_CHILD") != "" {
		child(os.Args[1], os.Args[2:])
	}
	os.Exit(m.Run())
}

// padding makes the lines of a flooding child long.
var padding = strings.Repeat("x", 80)

// writer numbers lines. Its methods are called by one goroutine.
type writer struct {
	id, label string
	to        *os.File
	n         int
	pad       string
	pieces    bool
}

func (w *writer) line() {
	w.n++
	line := fmt.Sprintf("%s %s %d %s\n", w.id, w.label, w.n, w.pad)
	if w.pieces { // with time in between for whoever reads
		fmt.Fprint(w.to, line[:len(line)/2])
		<-time.After(5 * time.Millisecond)
		line = line[len(line)/2:]
	}
	fmt.Fprint(w.to, line)
}

func (w *writer) end() { fmt.Fprintf(w.to, "%s %s END %d\n", w.id, w.label, w.n) }

// child writes numbered lines until it gets SIGUSR1; it then ends with the code that its number tells. The words say what else it does, and TAKEOVER_CHILD
// how long it waits between two lines.
func child(id string, words []string) {
	does := func(word string) bool { return slices.Contains(words, word) }
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGUSR1)
	if does("stubborn") {
		signal.Ignore(syscall.SIGTERM)
	}
	if err := os.WriteFile(ready(".", os.Getpid()), nil, 0o666); err != nil {
		panic(err)
	}
	writers := []*writer{{id: id, label: "out", to: os.Stdout}, {id: id, label: "err", to: os.Stderr}}
	switch {
	case does("listener"):
		go listen(does("holds"))
		writers = writers[1:]
	case does("stdin"):
		go func() {
			for in := bufio.NewScanner(os.Stdin); in.Scan(); {
				fmt.Fprintf(os.Stderr, "%s got %s\n", id, in.Text())
			}
		}()
		writers = writers[:1]
	case does("fcgi"):
		go serve()
	}
	every, err := time.ParseDuration(os.Getenv("TAKEOVER_CHILD"))
	if err != nil {
		panic(err)
	}
	burst := 1
	for _, w := range writers {
		w.pieces = does("pieces")
		switch {
		case does("flood"):
			w.pad, every, burst = padding, time.Millisecond, 200 // more than supervisord takes
		case does("pour"):
			w.pad, burst = padding, 20
		}
	}
	for {
		select {
		case <-end:
			for _, w := range writers {
				w.end()
			}
			os.Exit(code(id))
		case <-time.After(every):
			if does("silent") {
				continue
			}
			for range burst {
				for _, w := range writers {
					w.line()
				}
			}
		}
	}
}

// ready returns the path of the file by which a child tells that signals find it prepared.
func ready(dir string, pid int) string { return filepath.Join(dir, fmt.Sprint("ready.", pid)) }

// code returns the exit code of the child with that name, e.g. 3 for chatty_3.
func code(id string) int {
	_, number, _ := strings.Cut(id, "_")
	n, _ := strconv.Atoi(number)
	return n
}

// listen speaks the protocol of event listeners. One that holds its first event never answers.
func listen(holds bool) {
	in := bufio.NewReader(os.Stdin)
	for {
		fmt.Print("READY\n")
		header, err := in.ReadString('\n')
		if err != nil {
			return
		}
		for word := range strings.FieldsSeq(header) {
			if n, ok := strings.CutPrefix(word, "len:"); ok {
				size, _ := strconv.Atoi(n)
				if _, err := in.Discard(size); err != nil {
					return
				}
			}
		}
		if holds {
			fmt.Fprintln(os.Stderr, "HOLDS")
			return
		}
		fmt.Print("RESULT 2\nOK")
	}
}

// serve answers each connection of the socket that is its standard input with its pid.
func serve() {
	l, err := net.FileListener(os.Stdin)
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(c, os.Getpid())
		c.Close()
	}
}
