package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test of this file puts one list of requests to a real graced and to Supervisor 4.2.5: its answers are recorded in testdata, and where
// the program is installed it is asked as well. -rewrite records anew.

const recordings = "testdata/supervisor-4.2.5.json"

const referenceConfig = `[unix_http_server]
file=DIR/s
[inet_http_server]
port=127.0.0.1:PORT
username=user
password=password
[supervisord]
logfile=DIR/main.log
pidfile=DIR/pid
childlogdir=DIR
[program:cat]
command=/bin/cat
stdout_logfile=DIR/cat.out
stderr_logfile=NONE
[program:dies]
command=/bin/false
autostart=false
startretries=0
[program:gone]
command=/nonexistent
autostart=false
stdout_logfile=NONE
[program:nox]
command=DIR/conf
autostart=false
[program:binary]
command=/bin/cat
autostart=false
stdout_logfile=DIR/binary.out
[program:text]
command=/bin/cat
autostart=false
stdout_logfile=DIR/text.out
[program:never]
startsecs=0
command=/bin/cat
process_name=%(program_name)s_%(process_num)02d
numprocs=2
autostart=false
stdout_logfile=DIR/%(program_name)s_%(process_num)02d.out
[program:stubborn]
autostart=false
command=/bin/sh -c "trap '' TERM; while :; do sleep 1; done"
stopwaitsecs=4
killasgroup=true
priority=1
`

// server is a running daemon.
type server struct {
	*testing.T
	dir, inet string
	cmd       *exec.Cmd
	exited    chan struct{}
}

// startServer starts a daemon with the configuration above. It ends with the test.
func startServer(t *testing.T, program string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	for name, content := range map[string]string{
		"conf":       strings.NewReplacer("DIR", dir, "PORT", port).Replace(referenceConfig),
		"text.out":   strings.Repeat("not shown\n", 200) + strings.Repeat("é", 1000) + "\n<b> & \"quoted\" 'é'\n",
		"binary.out": "bytes \xff\xfe\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &server{T: t, dir: dir, inet: "127.0.0.1:" + port, exited: make(chan struct{})}
	s.cmd = exec.Command(program, "-n", "-c", filepath.Join(dir, "conf"))
	s.cmd.Env = []string{"PATH=/usr/bin:/bin", "TZ=UTC", "LC_ALL=C.UTF-8"}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // it is told to end
		close(s.exited)
	}()
	t.Cleanup(s.end)
	return s
}

// end shuts the daemon down. The reference takes a second for each group unless requests keep it going.
func (s *server) end() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		select {
		case <-s.exited:
			return
		case <-late:
			s.Error("the daemon does not end")
			_ = s.cmd.Process.Kill()
		case <-tick.C:
			if conn, err := net.Dial("unix", filepath.Join(s.dir, "s")); err == nil {
				_ = conn.Close()
			}
		}
	}
}

// until asks for the page until it is as wanted.
func (s *server) until(what string, ok func(page string) bool) {
	s.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		select {
		case <-late:
			s.Fatalf("waited a minute in vain: %s", what)
		case <-tick.C:
			if conn, err := net.Dial("unix", filepath.Join(s.dir, "s")); err == nil {
				page := s.ask(conn, get("/"))
				if ok(page) {
					return
				}
			}
		}
	}
}

// ask sends a request and returns the answer in a form that can be compared: status, headers, body; a page as its elements and texts.
func (s *server) ask(conn net.Conn, request string) string {
	s.Helper()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		s.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.Fatalf("%q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	if length := resp.Header.Get("Content-Length"); method != "HEAD" && resp.StatusCode != 304 && length != strconv.Itoa(len(body)) || resp.Header.Get("Date") == "" {
		s.Errorf("%q: a body of %d bytes with %v", request, len(body), resp.Header)
	}
	for name, shown := range map[string]string{"Date": "", "Content-Length": "", "Etag": "", "Last-Modified": "DATE"} {
		if resp.Header.Get(name) != "" {
			resp.Header.Set(name, shown)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s\n", resp.Proto, resp.Status)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		if value := resp.Header.Get(name); value != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, value)
		}
	}
	switch mediaType := resp.Header.Get("Content-Type"); {
	case strings.HasPrefix(mediaType, "text/html;"):
		out.WriteString("\n" + elements(s.T, body))
	case mediaType == "image/png", mediaType == "image/gif", mediaType == "text/css":
	default:
		out.WriteString("\n" + string(body))
	}
	return s.mask(out.String())
}

var masks = []struct{ pattern, with string }{
	{`pid \d+, uptime \d+:\d\d:\d\d`, "pid PID, uptime UPTIME"},
	{`[A-Z][a-z]{2}( |%20)[A-Z][a-z]{2}( |%20){1,2}\d+( |%20)\d\d(:|%3A)\d\d(:|%3A)\d\d( |%20)\d{4}`, "CTIME"},
	{`[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M`, "TIME"},
	{`2006-\n<span>\n\d{4}`, "2006-\n<span>\nYEAR"},
}

func (s *server) mask(answer string) string {
	answer = strings.ReplaceAll(answer, s.dir, "DIR")
	for _, m := range masks {
		answer = regexp.MustCompile(m.pattern).ReplaceAllString(answer, m.with)
	}
	return answer
}

// elements lists the elements and texts of a page, one a line.
func elements(t *testing.T, page []byte) string {
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Entity = xml.HTMLEntity
	var out strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, page)
		}
		switch token := token.(type) {
		case xml.Directive:
			fmt.Fprintf(&out, "<!%s>\n", strings.Join(strings.Fields(string(token)), " "))
		case xml.StartElement:
			slices.SortFunc(token.Attr, func(a, b xml.Attr) int { return strings.Compare(a.Name.Local, b.Name.Local) })
			out.WriteString("<" + token.Name.Local)
			for _, a := range token.Attr {
				fmt.Fprintf(&out, " %s=%q", a.Name.Local, a.Value)
			}
			out.WriteString(">\n")
		case xml.EndElement:
			out.WriteString("</" + token.Name.Local + ">\n")
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				out.WriteString(text + "\n")
			}
		}
	}
}

// question is a request that both daemons get. Their order is a story. Requests that Supervisor answers never are not in it.
type question struct {
	request string
	inet    bool
	ours    string // a part of our answer, where it differs from Supervisor's for the reason why
	why     string
}

const (
	credentials64 = "Authorization: Basic dXNlcjpwYXNzd29yZA=="
	prefixed      = "there is no page where the dots lead, with a slash at the end or without"
)

func questions() []question {
	var list []question
	same := func(requests ...string) {
		for _, r := range requests {
			list = append(list, question{request: r})
		}
	}
	differs := func(request, ours, why string) { list = append(list, question{request: request, ours: ours, why: why}) }
	inet := func(request string) { list = append(list, question{request: request, inet: true}) }
	head := func(target string) string { return strings.Replace(get(target), "GET", "HEAD", 1) }
	action := func(action, name string) string { return get("/?processname=" + name + "&action=" + action) }

	same(get("/"), get("/index.html"), get("//index.html"), get("/%69ndex.html"), get("/?message=%3Cscript%3E+%22%27%26%FF&message=2"), get("/?message="),
		get("/?message"), get("/?action=&message=hi"), "GET / HTTP/1.0\r\n\r\n", "GET /ok.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	same(action("start", "cat"), action("start", "gone"), action("start", "nox"), action("start", "dies"), action("start", "never:never_01"), get("/"),
		action("stop", "never:never_01"), action("stop", "never:never_01"), action("stop", "dies"), action("clearlog", "cat"), action("clearlog", "gone"),
		action("stop", "cat:cat"), action("restart", "cat"), action("restart", "cat"), get("/"))
	differs(action("restart", "gone"), "./?message=ERROR%3A%20Process%20gone%3A%20no%20such%20file", "the outcome of a restart is told as it is")
	differs(action("restart", "dies"), "./?message=ERROR%3A%20Process%20dies%3A%20spawn%20error", "the outcome of a restart is told as it is")
	same(action("start", "never:*"), action("start", "never:"), action("stop", "never"), action("stop", ":x"), action("stop", ""), action("stop", "%FF%FE+%zz%25"),
		action("bogus", "cat"), action("bogus", "nope"), action("", "cat"), get("/?action=start"), get("/?action=bogus"), get("/?action=refresh"),
		get("/?action=refresh&processname=nope"), get("/?action=refresh;processname=cat"), get("/?action=%72efresh"), get("/?Action=stopall"),
		get("/?action=start&action=stop&processname=cat&processname=never:never_00"), get("/index.html?action=stop&processname=nope&"))
	same(post("/?processname=cat&action=stop", "action=refresh"), post("/index.html", "action=stop&action=start&processname=gone&processname=cat"),
		post("/", "action=bogus"), post("/", "{\"action\": 1}", "Content-Type: application/json"), post("/?action=refresh", "action="),
		post("/", "message=a%26b"), post("/ok.html", "x"), post("/tail.html?processname=gone", "processname=nope"), post("/nope", "x"),
		"POST / HTTP/1.1\r\nHost: x\r\n\r\n", post("/images/icon.png", "x"))
	same(get("/tail.html"), get("/tail.html?processname="), get("/tail.html?limit=5"), get("/tail.html?processname=never:never_00"), get("/tail.html?processname=gone"),
		get("/tail.html?processname=nope"), get("/tail.html?processname=never:*"), get("/tail.html?processname=%3Cb%3E%22"), get("/tail.html?processname=text&limit=1025"),
		get("/tail.html?processname=text&limit=2001"), get("/tail.html?processname=text&limit=002001"), get("/tail.html?processname=text&limit=999999"),
		get("/tail.html?processname=cat&limit=-5"), get("/tail.html?processname=cat&limit=x"), get("/tail.html?processname=cat:cat&action=stopall"))
	differs(get("/tail.html?processname=binary"), "bytes \uFFFD\uFFFD\n", "bytes that are no UTF-8 are replaced (D1)")
	differs(get("/tail.html?processname=text&limit=1026"), "é\n<b> & \"quoted\"", "a character that was cut is dropped (D1)")
	differs(get("/tail.html?processname=cat&limit=99999999999999999999"), "limit=9223372036854775807", "no log is that long")
	same(get("/ok.html"), head("/ok.html"), head("/"), head("/nope"), get("/nope"), get("/index.html/"), get("/index.html%00"),
		strings.Replace(get("/"), "GET", "PUT", 1), strings.Replace(get("/ok.html"), "GET", "DELETE", 1), strings.Replace(get("/images/icon.png"), "GET", "TRACE", 1),
		strings.Replace(get("/"), "GET", "get", 1))
	for _, name := range []string{"/stylesheets/supervisor.css", "/images/icon.png", "/images/supervisor.gif", "/images/rule.gif", "/images/state0.gif",
		"/images/state1.gif", "/images/state2.gif", "/images/state3.gif"} {
		same(get(name), head(name))
	}
	same(get("/images/icon.png", "If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT"), get("/images/icon.png", "If-Modified-Since: x"), get("/images/icon.png?x=1"),
		get("/images/icon.png", "If-Modified-Since: Tue, 01 Jan 2047 00:00:00 GMT"), strings.Replace(get("/images/icon.png", "If-Modified-Since: Tue, 01 Jan 2047 00:00:00 GMT"), "GET", "HEAD", 1),
		get("//images/icon.png"), get("/images//icon.png"), get("/images/../images/icon.png"), get("/images/./icon.png"), get("/images/../../../../etc/passwd"),
		get("/%2e%2e/%2e%2e/etc/passwd"), get("/images/%2e%2e/ok.html"), get("/images/nope.gif"), get("/IMAGES/icon.png"), get("/images"), get("//stylesheets"),
		get("/images/"), get("/../"), get("/ui"))
	differs(head("/tail.html"), " 404 ", "the template is not shown raw")
	differs(get("/.."), " 404 ", prefixed)
	differs(get("/images/."), " 404 ", prefixed)
	differs(get("/images/icon.png/"), " 404 ", "a file is no directory")
	differs(get("/status.html"), " 404 ", "the template is not shown raw")
	inet("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	inet("GET /ok.html HTTP/1.1\r\nHost: x\r\nAuthorization: Basic dXNlcjp4\r\n\r\n")
	inet(get("/ok.html", credentials64))
	inet(get("/", credentials64))
	inet("GET /?action=refresh HTTP/1.0\r\n" + credentials64 + "\r\n\r\n")
	inet("GET /?action=refresh HTTP/1.1\r\nHost: h:80\r\n" + credentials64 + "\r\n\r\n")
	same("GET /?action=refresh HTTP/1.0\r\n\r\n")
	same(get("/?action=stopall"), get("/"))
	differs(get("/?action=restartall"), "./?message=All%20restarted%20at%20CTIME%3B%20not%20started%3A%20", "the outcome of a restart is told as it is")
	return append(list, question{request: get("/")})
}

// shutdownQuestions are put while the daemon ends.
func shutdownQuestions() []string {
	return []string{get("/index.html?shutdown"), get("/ok.html?shutdown"), get("/tail.html?processname=cat&shutdown"), get("/?action=refresh&shutdown"), get("/?action=stopall&shutdown"),
		get("/?action=start&processname=nope&shutdown"), get("/?action=stop&processname=stubborn&shutdown")}
}

// passing are the states of a page that pass by themselves: Supervisor does not wait for all of them before it answers, so how many are left
// is an accident.
var passing = regexp.MustCompile(`(?m)^(starting|stopping|backoff)$`)

// answers puts all questions to a daemon.
func (s *server) answers() map[string]string {
	s.until("a program runs", func(page string) bool { return strings.Contains(page, "\nrunning\n") })
	out := map[string]string{}
	seen := map[string]int{}
	name := func(q question) string {
		seen[q.request]++
		return fmt.Sprintf("%d %t %s", seen[q.request], q.inet, q.request)
	}
	put := func(q question) {
		network, address := "unix", filepath.Join(s.dir, "s")
		if q.inet {
			network, address = "tcp", s.inet
		}
		conn, err := net.Dial(network, address)
		if err != nil {
			s.Fatal(err)
		}
		out[name(q)] = s.ask(conn, q.request)
	}
	for _, q := range questions() {
		if q.request == get("/") && !q.inet {
			s.until("nothing is between two states", func(page string) bool { return !passing.MatchString(page) })
		}
		put(q)
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.until("the daemon shuts down", func(page string) bool { return strings.Contains(page, " 500 ") })
	for _, request := range shutdownQuestions() {
		put(question{request: request})
	}
	s.end()
	return out
}

// differences are what every answer of a kind differs by: a pattern in Supervisor's answer, and what is in ours instead.
var differences = []struct{ why, theirs, ours string }{
	{"a redirect that may be cached would repeat, or swallow, the action", `^(HTTP/1..) 301 Moved Permanently\n((?s:.*))(Location: )http://[^\n]*/(\?message=(?s:.*)) 301\.\r\n<p>Message: Moved Permanently`,
		"$1 303 See Other\n$2${3}./$4 303.\r\n<p>Message: See Other"},
	{"the client knows best under which name it has reached the server", `(Location: )http://.*/(images|stylesheets)/\n`, "$1$2/\n"},
	{"pages are read in languages, and on small screens", `<html>\n<head>\n<title>\n(.*)\n</title>\n`,
		"<html lang=\"en\">\n<head>\n<title>\n$1\n</title>\n<meta content=\"width=device-width, initial-scale=1\" name=\"viewport\">\n</meta>\n"},
	{"the page is not theirs", `©((?s).*)</strong>\n`, "spoken by\n<strong>\ngraced\n</strong>\n"},
	{"style-src 'self' allows no style attribute, so the tail has the stylesheet", `(Supervisor tail of process (?s:.*))</head>`,
		"$1<link href=\"stylesheets/supervisor.css\" rel=\"stylesheet\" type=\"text/css\">\n</link>\n<link href=\"images/icon.png\" rel=\"icon\" type=\"image/png\">\n</link>\n</head>"},
	{"a button within a link does nothing in some browsers", `<form action="index.html" method="POST">\n<div style="margin-top: 10px;">\n(<a href=.*>\n)<input .*>\n</input>\n</a>\n</div>\n</form>`,
		"<div>\n<ul class=\"clr\" id=\"buttons\">\n<li class=\"action-button\">\n${1}Refresh\n</a>\n</li>\n</ul>\n</div>"},
	{"without a process there is nothing to refresh", `<form action="index.html" method="POST">\n<div style="margin-top: 10px;">\n</div>\n</form>`, "<div>\n</div>"},
}

// ourHeaders are what only our answers have: they say what a browser may do with a page, and that a connection ends.
var ourHeaders = regexp.MustCompile(`(?m)^(Content-Security-Policy|X-Frame-Options|X-Content-Type-Options|Referrer-Policy|Accept-Ranges|Connection): .*\n`)

// TestReference compares every answer with Supervisor's.
func TestReference(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("hidden: the comparison of every page with Supervisor's, because -short is given")
	}
	bin := filepath.Join(t.TempDir(), "graced")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/graced").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	const original = "/usr/bin/supervisord"
	version, _ := exec.Command(original, "-v").Output() // it may not be there
	installed := strings.TrimSpace(string(version)) == "4.2.5"
	var ours, live map[string]string
	t.Run("daemons", func(t *testing.T) {
		t.Run("graced", func(t *testing.T) {
			t.Parallel()
			ours = startServer(t, bin).answers()
		})
		t.Run("supervisord", func(t *testing.T) {
			if !installed {
				t.Skip("hidden: the comparison of every page with Supervisor's, because Supervisor 4.2.5 is not installed")
			}
			t.Parallel()
			live = startServer(t, original).answers()
		})
	})
	if t.Failed() {
		return
	}
	if installed {
		compareAnswers(t, "live", ours, live)
	}
	if *rewrite {
		if !installed {
			t.Fatal("there is no Supervisor to record")
		}
		data, err := json.MarshalIndent(live, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordings, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(recordings)
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]string
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	compareAnswers(t, "recorded", ours, recorded)
}

// apart returns the lines of two texts between what they begin and end with alike, and the number of the first one.
func apart(a, b string) (at int, ours, theirs []string) {
	ours, theirs = strings.Split(a, "\n"), strings.Split(b, "\n")
	for at = 1; len(ours) > 0 && len(theirs) > 0 && ours[0] == theirs[0]; at++ {
		ours, theirs = ours[1:], theirs[1:]
	}
	for len(ours) > 0 && len(theirs) > 0 && ours[len(ours)-1] == theirs[len(theirs)-1] {
		ours, theirs = ours[:len(ours)-1], theirs[:len(theirs)-1]
	}
	return at, ours, theirs
}

func compareAnswers(t *testing.T, kind string, ours, theirs map[string]string) {
	t.Helper()
	expected := map[string]question{}
	for _, q := range questions() {
		if q.why != "" {
			expected[fmt.Sprintf("1 false %s", q.request)] = q
		}
	}
	met := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		want, ok := theirs[name]
		if !ok {
			t.Errorf("%q: no answer is %s", name, kind)
			continue
		}
		for _, d := range differences {
			pattern := regexp.MustCompile(d.theirs)
			if pattern.MatchString(want) {
				met[d.why] = true
				want = pattern.ReplaceAllString(want, d.ours)
			}
		}
		want = ourHeaders.ReplaceAllString(want, "")
		got := ourHeaders.ReplaceAllString(ours[name], "")
		if q, ok := expected[name]; ok {
			if got == want {
				t.Errorf("%q is answered as by Supervisor, though it should not: %s", name, q.why)
			}
			if !strings.Contains(got, q.ours) {
				t.Errorf("%q: there is no %q, though %s, in\n%s", name, q.ours, q.why, got)
			}
			continue
		}
		if got != want {
			at, ours, theirs := apart(got, want)
			t.Errorf("%q: from line %d on ours has %q, and what is %s %q", name, at, ours, kind, theirs)
		}
	}
	for _, d := range differences {
		if !met[d.why] {
			t.Errorf("no answer differs any more: %s", d.why)
		}
	}
	if len(theirs) != len(ours) {
		t.Errorf("%d answers are %s, not %d", len(theirs), kind, len(ours))
	}
}
