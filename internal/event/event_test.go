package event

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTypes(t *testing.T) {
	for _, name := range Names() {
		typ, ok := Parse(strings.ToLower(name))
		if !ok || typ.String() != name {
			t.Errorf("%s is read as %v, %v", name, typ, ok)
		}
	}
	for _, bad := range []string{"", "PROCESS", "TICK_", "NOPE", "EVENT "} {
		if typ, ok := Parse(bad); ok {
			t.Errorf("%q is read as %v", bad, typ)
		}
	}
	if s := Subscription(Tick, Tick5); !s.Has(Tick5) || !s.Has(Tick3600) || s.Has(ProcessLog) || !s.Overlaps(Subscription(Any)) || s.Overlaps(Subscription(ProcessGroup)) {
		t.Errorf("TICK and TICK_5 cover %b", s)
	}
	all := Subscription(Any)
	for typ := range types {
		if !all.Has(typ) {
			t.Errorf("EVENT does not cover %v", typ)
		}
	}
}

// reference is what the reference says of its events.
type reference struct {
	Types    map[string][]string // by name: every name that covers it
	Payloads map[string]string
}

// TestReference compares names, relations and payloads with Supervisor's own classes.
func TestReference(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import supervisor.events").Run() != nil {
		t.Skip("hidden: the comparison of events with Supervisor's own classes, because Supervisor is not installed")
	}
	cmd := exec.Command(python, "-B", "testdata/reference.py")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want reference
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for typ := range types {
		for _, a := range Names() {
			covering, _ := Parse(a)
			if typ.is(covering) {
				got[typ.String()] = append(got[typ.String()], a)
			}
		}
		slices.Sort(got[typ.String()])
	}
	if !reflect.DeepEqual(got, want.Types) {
		t.Errorf("types\n%v\nwant\n%v", got, want.Types)
	}

	p := Process{Group: "g", Name: "p"}
	payloads := map[string]string{
		"PROCESS_STATE_STARTING": TriesPayload(p, "BACKOFF", 3), "PROCESS_STATE_BACKOFF": TriesPayload(p, "BACKOFF", 3),
		"PROCESS_STATE_RUNNING": StatePayload(p, "BACKOFF", 7), "PROCESS_STATE_STOPPING": StatePayload(p, "BACKOFF", 7),
		"PROCESS_STATE_STOPPED": StatePayload(p, "BACKOFF", 7), "PROCESS_STATE_EXITED": ExitedPayload(p, "BACKOFF", true, 7),
		"PROCESS_STATE_EXITED unexpected": ExitedPayload(p, "BACKOFF", false, 7),
		"PROCESS_STATE_FATAL":             BarePayload(p, "BACKOFF"), "PROCESS_STATE_UNKNOWN": BarePayload(p, "BACKOFF"),
		"PROCESS_LOG_STDOUT":           LogPayload(p, 7, "stdout", []byte("hé\n")),
		"PROCESS_LOG_STDERR":           LogPayload(p, 7, "stderr", []byte("h\xe9'\x00\n")),
		"PROCESS_COMMUNICATION_STDOUT": CommunicationPayload(p, 7, []byte("hé\n")),
		"PROCESS_COMMUNICATION_STDERR": CommunicationPayload(p, 7, []byte("h\xe9\"'\x7f")),
		"REMOTE_COMMUNICATION":         RemotePayload("kind", "data"), "PROCESS_GROUP_ADDED": GroupPayload("g"), "PROCESS_GROUP_REMOVED": GroupPayload("g"),
		"SUPERVISOR_STATE_CHANGE_RUNNING": "", "SUPERVISOR_STATE_CHANGE_STOPPING": "",
		"TICK_5": TickPayload(1000000005), "TICK_60": TickPayload(1000000005), "TICK_3600": TickPayload(1000000005),
	}
	for name, w := range want.Payloads {
		if payloads[name] != w {
			t.Errorf("%s says %q, want %q", name, payloads[name], w)
		}
	}
	if len(payloads) != len(want.Payloads) {
		t.Errorf("%d payloads, the reference has %d", len(payloads), len(want.Payloads))
	}
}

func TestEnvelope(t *testing.T) {
	h := Header{Server: "super", Serial: 21, Pool: "listener", PoolSerial: 10, Type: ProcessGroupAdded}
	if got, want := string(h.Envelope("groupname:é\n")), "ver:3.0 server:super serial:21 pool:listener poolserial:10 eventname:PROCESS_GROUP_ADDED len:12\ngroupname:é\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.Bytes = true
	if got := string(h.Envelope("é")); !strings.HasSuffix(got, " len:2\né") {
		t.Errorf("with bytes: %q", got)
	}
	if Next(1<<63-2) != 1<<63-1 || Next(1<<63-1) != 0 {
		t.Error("serials do not wrap after 2^63-1")
	}
}

// signs feeds a listener and takes each event and result as it comes.
func signs(l *Listener, chunks ...string) (out []string) {
	for _, c := range chunks {
		l.Write([]byte(c))
		for {
			sign, text := l.Next()
			if sign == Nothing {
				break
			}
			switch sign {
			case BecameReady:
				out = append(out, "ready")
				l.Sent()
			case Result:
				out = append(out, "result "+string(text))
				l.Judge(string(text) != "fail")
			case BadLine:
				out = append(out, "bad "+string(text))
			case Broke:
				out = append(out, "broke")
			}
		}
	}
	return out
}

func TestListener(t *testing.T) {
	long := strings.Repeat("x", lineMost+1)
	for _, c := range []struct {
		said []string
		want []string
	}{
		{[]string{"REA", "DY\nRES", "ULT 2\nO", "KREADY\n"}, []string{"ready", "result OK", "ready"}},
		{[]string{"READY\nRESULT 0\n"}, []string{"ready", "result "}}, // quirk F8: at once
		{[]string{"READY\nGARBAGE2\nOK"}, []string{"ready", "result OK"}},
		{[]string{"READY\nRESULT -1\n"}, []string{"ready", "bad RESULT -1"}},
		{[]string{"READY\nRESULT 99999999999\n"}, []string{"ready", "bad RESULT 99999999999"}},
		{[]string{"READY\nR\nREADY\n"}, []string{"ready", "bad R"}},
		{[]string{"READY\n", long, "\n"}, []string{"ready", "bad " + long}},
		{[]string{"READY\nRESULT 4\nfailREADY\n"}, []string{"ready", "result fail"}},
		{[]string{"HELLO!"}, []string{"broke"}},
		{[]string{"READY"}, nil},
	} {
		if got := signs(NewListener(), c.said...); !slices.Equal(got, c.want) {
			t.Errorf("%.80q: %.80q, want %.80q", c.said, got, c.want)
		}
	}
	for _, c := range []struct {
		said []string
		want []string
	}{
		{[]string{"REA", "DY", "\nRESULT 2\nOK"}, []string{"ready", "result OK"}},
		{[]string{"RES", "ULT 2\nO", "KREADY\n"}, []string{"result OK", "ready"}},
		{[]string{"READ Y\n"}, []string{"bad READ Y"}},
		{[]string{"READY"}, nil},
	} {
		if got := signs(SavedListener{Result: -1}.Restore(), c.said...); !slices.Equal(got, c.want) {
			t.Errorf("unsure, %q: %q, want %q", c.said, got, c.want)
		}
	}
	l := NewListener()
	l.Write([]byte("READY\nx"))
	if sign, _ := l.Next(); sign != BecameReady {
		t.Fatal(sign)
	}
	if sign, _ := l.Next(); sign != Broke || l.State() != Violated {
		t.Errorf("output without an event: %v, %v", sign, l.State())
	}
	l.Write([]byte("READY\n"))
	if sign, _ := l.Next(); sign != Nothing {
		t.Errorf("after a violation: %v", sign)
	}
}

// FuzzListener: what a listener says means the same however it comes in pieces.
func FuzzListener(f *testing.F) {
	f.Add("READY\nRESULT 2\nOKREADY\n", uint8(1))
	f.Add("READY\nRESULT 0\nREADY\nRESULT x\n", uint8(3))
	f.Add("READY\nRESULT 4\nfail", uint8(2))
	f.Fuzz(func(t *testing.T, said string, size uint8) {
		var chunks []string
		for rest := said; rest != ""; {
			n := min(len(rest), int(size)+1)
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		for _, from := range []SavedListener{{State: Acknowledged, Result: -1}, {Result: -1}} {
			whole, l := signs(from.Restore(), said), from.Restore()
			if pieces := signs(l, chunks...); !slices.Equal(pieces, whole) {
				t.Errorf("from %v: in one piece %q, in pieces of %d %q", from.State, whole, size, pieces)
			}
			if len(l.buf) > lineMost+resultMost {
				t.Errorf("%d bytes are kept", len(l.buf))
			}
		}
	})
}
