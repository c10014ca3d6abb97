package childlog

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// syslogDaemon is a socket that stands in for /dev/log.
type syslogDaemon struct {
	t    *testing.T
	path string
	fd   int
}

func listenSyslog(t *testing.T, path string) *syslogDaemon {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &syslogDaemon{t, path, fd}
	t.Cleanup(d.close)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)}); err != nil {
		t.Fatal(err)
	}
	return d
}

// close also removes the socket, so that another may listen there.
func (d *syslogDaemon) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
		os.Remove(d.path)
		d.fd = -1
	}
}

func (d *syslogDaemon) message() string {
	d.t.Helper()
	buf := make([]byte, 256<<10)
	n, err := unix.Read(d.fd, buf)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(buf[:n])
}

// header is what stands before the text of a message; the date is that of syslog(3).
var header = regexp.MustCompile(`^<14>([A-Z][a-z][a-z] [ 123][0-9] [0-9:]{8}) ([^:]+): `)

// expect reads a message and compares its text and its sender.
func (d *syslogDaemon) expect(text string) {
	d.t.Helper()
	got := d.message()
	m := header.FindStringSubmatch(got)
	if m == nil || m[2] != filepath.Base(os.Args[0]) || got[len(m[0]):] != text {
		d.t.Errorf("syslog got %q, want the end %q", got, text)
	}
}

func syslogChannel(t *testing.T, cfg Config, socket string) *channel {
	t.Helper()
	cfg.Name, cfg.Syslog = "web", true
	c := newChannel(t, cfg)
	c.syslog.path = socket
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSyslog(t *testing.T) {
	dir := t.TempDir()
	socket, path := filepath.Join(dir, "s"), filepath.Join(dir, "log")
	c := syslogChannel(t, Config{Path: path}, socket)
	c.say("nobody hears this\n")
	d := listenSyslog(t, socket)
	c.say("one\ntwo\nthr")
	d.expect("web one")
	d.expect("web two")
	d.expect("web thr")
	c.say("ee\n")
	d.expect("web ee")
	d.close()
	d = listenSyslog(t, socket) // syslog was restarted
	block := strings.Repeat("x", syslogBlock-6) + "\nlong "
	c.say(block)
	d.expect("web " + block[:syslogBlock-6])
	c.say("line\n")
	d.expect("web long line")
	c.say(block)
	d.expect("web " + block[:syslogBlock-6])
	c.Close()
	d.expect("web long ")
	if texts := c.take(); len(texts) != 0 {
		t.Errorf("reports %q", texts)
	}
	wantFile(t, path, "nobody hears this\none\ntwo\nthree\n"+block+"line\n"+block)

	own := NewSyslog() // the daemon's own log
	own.w.path = socket
	if n, err := own.Write([]byte("2026-11-22 15:44:00,342 INFO text\n")); n != 34 || err != nil {
		t.Errorf("wrote %d: %v", n, err)
	}
	d.expect("2026-11-22 15:44:00,342 INFO text")
	if err := own.Close(); err != nil {
		t.Error(err)
	}
}

// TestSyslogFiltered checks that syslog gets what the file gets.
func TestSyslogFiltered(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	d := listenSyslog(t, socket)
	c := syslogChannel(t, Config{StripANSI: true, CaptureMaxBytes: 100}, socket)
	c.say("\x1b[1mbold\x1b[0m\n" + captureBegin + "secret" + captureEnd + "plain\n")
	d.expect("web bold")
	d.expect("web plain")
}

// TestSyslogStuck has a syslog daemon that does not read: lines are dropped and reported, and the output goes on.
func TestSyslogStuck(t *testing.T) {
	dir := t.TempDir()
	socket, path := filepath.Join(dir, "s"), filepath.Join(dir, "log")
	d := listenSyslog(t, socket)
	c := syslogChannel(t, Config{Path: path}, socket)
	sent := 0
	var texts []string
	for len(texts) == 0 && sent < 100_000 {
		c.say(fmt.Sprintf("line %d\n", sent))
		sent++
		texts = c.take()
	}
	if want := []string{"cannot write to syslog: resource temporarily unavailable; lines are dropped until it works again"}; !slices.Equal(texts, want) {
		t.Fatalf("reports %q, want %q", texts, want)
	}
	c.say("123456789\n")
	for i := range sent - 1 {
		d.expect(fmt.Sprintf("web line %d", i))
	}
	c.say("again\n")
	d.expect("web again")
	want := fmt.Sprintf("writing to syslog works again; %d bytes were lost", len(fmt.Sprintf("line %d", sent-1))+9)
	if texts := c.take(); !slices.Equal(texts, []string{want}) {
		t.Errorf("reports %q, want %q", texts, want)
	}
	if text := read(t, path); strings.Count(text, "\n") != sent+2 {
		t.Errorf("the file has %d lines, want %d", strings.Count(text, "\n"), sent+2)
	}
}

// saidToSyslog is a case of chunks with the messages that Supervisor makes of them.
type saidToSyslog struct {
	Chunks   [][]byte `json:"chunks"`
	Messages []string `json:"messages"`
}

func syslogCases() (cases []saidToSyslog) {
	for _, chunks := range [][]string{
		{"one\ntwo\nthr", "ee\n"}, {"a\n\n\n"}, {"\n"}, {"\n\n"}, {"a\n\nb\n"}, {"\n\nx"}, {"é\n"}, {"a\r\nb"}, {"%s %d\n"}, {" x \t"}, {"<3>x: y\n"},
		{strings.Repeat("long", 5000)},
	} {
		var c saidToSyslog
		for _, chunk := range chunks {
			c.Chunks = append(c.Chunks, []byte(chunk))
		}
		cases = append(cases, c)
	}
	return cases
}

// messages reads what arrived until the marker, without sender and date.
func (d *syslogDaemon) messages(marker string) (texts []string) {
	d.t.Helper()
	for {
		text := header.ReplaceAllString(d.message(), "<14> ")
		if text == marker {
			return texts
		}
		texts = append(texts, text)
	}
}

const syslogMarker = "end of the case"

// askSyslog sends the cases with Supervisor's own handler, in a mount namespace where /dev holds nothing but our socket.
func askSyslog(t *testing.T, cases []saidToSyslog) (answers []saidToSyslog, ok bool) {
	t.Helper()
	if _, ok := ask[saidToSyslog](t, "testdata/syslog.py", nil); !ok {
		return nil, false
	}
	dir := t.TempDir()
	inside := func(args ...string) *exec.Cmd {
		return exec.Command("unshare", append([]string{"-m", "sh", "-c", `mount --bind "$0" /dev && exec "$@"`, dir}, args...)...)
	}
	if err := inside("true").Run(); err != nil {
		return nil, false
	}
	d := listenSyslog(t, filepath.Join(dir, "log"))
	var in strings.Builder
	for _, c := range cases {
		c.Chunks = append(slices.Clone(c.Chunks), []byte(syslogMarker))
		if err := json.NewEncoder(&in).Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	cmd := inside(python, "testdata/syslog.py")
	cmd.Stdin, cmd.Stderr = strings.NewReader(in.String()), os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		c.Messages = d.messages("<14> web " + syslogMarker)
		answers = append(answers, c)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return answers, true
}

func (c saidToSyslog) check(t *testing.T) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	d := listenSyslog(t, socket)
	s := syslogChannel(t, Config{}, socket)
	for _, chunk := range c.Chunks {
		s.say(string(chunk))
	}
	s.say(syslogMarker)
	if got := d.messages("<14> web " + syslogMarker); !reflect.DeepEqual(got, c.Messages) {
		t.Errorf("%q gives %q, want %q", c.Chunks, got, c.Messages)
	}
}

func TestSyslogRecorded(t *testing.T) {
	const file = "testdata/syslog.json"
	if *rewrite {
		answers, ok := askSyslog(t, syslogCases())
		if !ok {
			t.Fatal("no Supervisor to ask, or no mount namespace to do it in")
		}
		var out strings.Builder
		for _, a := range answers {
			if err := json.NewEncoder(&out).Encode(a); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	answers := decode[saidToSyslog](t, data)
	if len(answers) == 0 {
		t.Fatal("no case is recorded")
	}
	for _, c := range answers {
		c.check(t)
	}
}

// TestSyslogLive compares the messages on the socket with those of Supervisor.
func TestSyslogLive(t *testing.T) {
	answers, ok := askSyslog(t, syslogCases())
	if !ok {
		t.Skip("hidden: fresh comparison of syslog messages with Supervisor's, because Supervisor or a mount namespace is missing; recorded answers are compared by TestSyslogRecorded")
	}
	for _, c := range answers {
		c.check(t)
	}
}
