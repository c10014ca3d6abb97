package process

import (
	"math"
	"math/rand"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// uncompared are the members of Spec that say where a process was defined, not what it is.
var uncompared = []string{"Program", "Num", "Origin", "Health.Ready.Kind", "Health.Alive.Kind", // part of their targets
	"Health.Alive.Successes"} // always one

// TestFieldsComplete checks that every member of Spec has exactly one row, and that a change of the member is seen by that row alone.
func TestFieldsComplete(t *testing.T) {
	rows := map[string]Field{}
	for _, f := range Fields {
		if _, twice := rows[f.Member]; twice {
			t.Errorf("two rows for %s", f.Member)
		}
		rows[f.Member] = f
	}
	members := 0
	var walk func(prefix string, typ reflect.Type, index []int)
	walk = func(prefix string, typ reflect.Type, index []int) {
		for i := range typ.NumField() {
			sf := typ.Field(i)
			name, at := prefix+sf.Name, append(slices.Clone(index), i)
			if slices.Contains(uncompared, name) {
				continue
			}
			if slices.Contains([]reflect.Type{reflect.TypeFor[LogSpec](), reflect.TypeFor[SocketSpec](), reflect.TypeFor[TreeSpec](), reflect.TypeFor[TellSpec](), reflect.TypeFor[Health](),
				reflect.TypeFor[Check](), reflect.TypeFor[Roll](), reflect.TypeFor[Hooks](), reflect.TypeFor[HookSpec]()}, sf.Type) {
				walk(name+".", sf.Type, at)
				continue
			}
			members++
			if _, ok := rows[name]; !ok {
				t.Errorf("Spec.%s has no row in Fields", name)
				continue
			}
			active := Spec{Health: Health{Ready: Check{Kind: CheckTCP}, Alive: Check{Kind: CheckTCP}}}
			next := active
			change(t, reflect.ValueOf(&next).Elem().FieldByIndex(at))
			var diff []Field
			for _, f := range Fields {
				if !f.Equal(active, next) {
					diff = append(diff, f)
				}
			}
			if len(diff) != 1 || diff[0].Member != name {
				t.Errorf("change of Spec.%s is reported as %v", name, memberNames(diff))
				continue
			}
			if seen := len(Diff(active, next)) == 1; seen == diff[0].Unseen {
				t.Errorf("change of Spec.%s is seen: %v", name, seen)
			}
		}
	}
	walk("", reflect.TypeFor[Spec](), nil)
	if members != len(Fields) {
		t.Errorf("%d compared members, %d rows", members, len(Fields))
	}
}

func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case LogTarget:
		v.Set(reflect.ValueOf(LogTarget{Kind: LogPath, Path: "/x"}))
	case Share:
		v.Set(reflect.ValueOf(Share{N: 7}))
	case []int:
		v.Set(reflect.ValueOf([]int{7}))
	case BackoffSpec:
		v.Set(reflect.ValueOf(BackoffSpec{First: time.Second}))
	case Rate:
		v.Set(reflect.ValueOf(Rate{Count: 1, Within: time.Second}))
	case Signal:
		v.Set(reflect.ValueOf(SIGTERM))
	case []StopStep:
		v.Set(reflect.ValueOf([]StopStep{{SIGTERM, Forever}}))
	case []string:
		v.Set(reflect.ValueOf([]string{"/x"}))
	case []NamedSocket:
		v.Set(reflect.ValueOf([]NamedSocket{{"s", SocketSpec{URL: "tcp://h:1", UID: UnsetID}}}))
	case []Secret:
		v.Set(reflect.ValueOf([]Secret{{Key: "K", Path: "/x"}}))
	case PostFailure:
		v.Set(reflect.ValueOf(PostFails))
	case HookFailure:
		v.Set(reflect.ValueOf(HookIgnored))
	case []Env:
		v.Set(reflect.ValueOf([]Env{{"A", "b"}}))
	case []Dependency:
		v.Set(reflect.ValueOf([]Dependency{{Name: Namespec{Group: "db"}}}))
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int, reflect.Int64:
			v.SetInt(2)
		default:
			t.Fatalf("no way to change a %s", v.Type())
		}
	}
}

func memberNames(fields []Field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Member)
	}
	return out
}

func TestFieldRules(t *testing.T) {
	auto, none, path := LogTarget{Kind: LogAuto}, LogTarget{Kind: LogNone}, LogTarget{Kind: LogPath, Path: "/l"}
	for _, c := range []struct {
		name      string
		from, to  LogTarget
		different bool
	}{
		{"AUTO stays", auto, auto, false}, {"AUTO to path", auto, path, true}, {"AUTO to NONE", auto, none, true},
		{"path to AUTO is not seen (B1)", path, auto, false}, {"NONE to AUTO is not seen (B1)", none, auto, false}, {"path to NONE", path, none, true},
	} {
		got := len(Diff(Spec{Stdout: LogSpec{File: c.from}}, Spec{Stdout: LogSpec{File: c.to}})) > 0
		if got != c.different {
			t.Errorf("%s: changed %v, want %v", c.name, got, c.different)
		}
	}
	if d := Diff(Spec{ExitCodes: []int{0, 2}}, Spec{ExitCodes: []int{2, 0, 2}}); len(d) != 0 {
		t.Errorf("the order of exitcodes counts as a change (B4): %v", memberNames(d))
	}
	one, two := SocketSpec{URL: "unix:///s", Backlog: 1, Mode: 1, UID: 1, GID: 1}, SocketSpec{URL: "unix:///s", Backlog: 2, Mode: 2, UID: 2, GID: 2}
	if d := Diff(Spec{Socket: one}, Spec{Socket: two}); len(d) != 0 {
		t.Errorf("backlog, mode and owner of a socket count as a change (B2): %v", memberNames(d))
	}
	one.URL = "unix:///t"
	if d := memberNames(Diff(Spec{Socket: one}, Spec{Socket: two})); !slices.Equal(d, []string{"Socket.URL"}) {
		t.Errorf("another socket is reported as %v", d)
	}
	if d := Diff(Spec{Environment: []Env{{"A", "1,B=2"}}}, Spec{Environment: []Env{{"A", "1"}, {"B", "2"}}}); len(d) != 1 {
		t.Error("a value that looks like two variables equals two variables")
	}
}

func TestStateClasses(t *testing.T) {
	for s, code := range map[State]int{Stopped: 0, Starting: 10, Running: 20, Backoff: 30, Stopping: 40, Exited: 100, Fatal: 200, Unknown: 1000} {
		if int(s) != code {
			t.Errorf("%s is %d, want %d", s, int(s), code)
		}
	}
	want := map[State]string{
		Stopped: "STOPPED stopped", Starting: "STARTING running signallable", Running: "RUNNING running signallable", Backoff: "BACKOFF running",
		Stopping: "STOPPING signallable", Exited: "EXITED stopped", Fatal: "FATAL stopped", Unknown: "UNKNOWN stopped",
	}
	for _, s := range States {
		got := s.String()
		for _, c := range []struct {
			in   bool
			name string
		}{{s.IsStopped(), " stopped"}, {s.IsRunning(), " running"}, {s.IsSignallable(), " signallable"}} {
			if c.in {
				got += c.name
			}
		}
		if got != want[s] {
			t.Errorf("got %q, want %q", got, want[s])
		}
	}
}

func TestNamespec(t *testing.T) {
	for in, want := range map[string]struct {
		n Namespec
		s string
	}{
		"p":     {Namespec{"p", "p"}, "p"},
		"g:p":   {Namespec{"g", "p"}, "g:p"},
		"x:x":   {Namespec{"x", "x"}, "x"},
		"g:*":   {Namespec{Group: "g"}, "g:*"},
		"g:":    {Namespec{Group: "g"}, "g:*"},
		"g:a:b": {Namespec{"g", "a:b"}, "g:a:b"},
		"":      {Namespec{}, ":*"},
	} {
		if got := ParseNamespec(in); got != want.n || got.String() != want.s {
			t.Errorf("%q: got %+v %q, want %+v %q", in, got, got.String(), want.n, want.s)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		e    ExitStatus
		wire int
		text string
	}{
		{ExitStatus{Code: 3}, 3, "exit status 3"},
		{ExitStatus{Signal: 15}, -1, "terminated by SIGTERM"},
		{ExitStatus{Signal: 11, CoreDumped: true}, -1, "terminated by SIGSEGV (core dumped)"},
		{ExitStatus{Signal: 40}, -1, "terminated by signal 40"},
	} {
		if c.e.Wire() != c.wire || c.e.String() != c.text {
			t.Errorf("%+v: %d %q, want %d %q", c.e, c.e.Wire(), c.e.String(), c.wire, c.text)
		}
	}
}

func TestCompareNatural(t *testing.T) {
	sorted := []string{"", "a", "foo_0", "foo_00", "foo_01", "foo_1", "foo_2", "foo_9", "foo_10", "foo_100", "foo_a", "foo_a1b2", "foo_a1b10", "fop", "世"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := CompareNatural(a, b); got != sign(i-j) {
				t.Errorf("CompareNatural(%q, %q) = %d, want %d", a, b, got, sign(i-j))
			}
		}
	}
	seed := rand.Int63()
	t.Log("seed", seed)
	r := rand.New(rand.NewSource(seed))
	word := func() string {
		var b strings.Builder
		for range r.Intn(6) {
			b.WriteByte("0019ab_"[r.Intn(7)])
		}
		return b.String() + strconv.Itoa(r.Intn(12))
	}
	for range 2000 {
		a, b, c := word(), word(), word()
		if CompareNatural(a, b) != -CompareNatural(b, a) || (CompareNatural(a, b) == 0) != (a == b) {
			t.Fatalf("not antisymmetric: %q %q", a, b)
		}
		if CompareNatural(a, b) < 0 && CompareNatural(b, c) < 0 && CompareNatural(a, c) >= 0 {
			t.Fatalf("not transitive: %q %q %q", a, b, c)
		}
	}
}

func TestBackoff(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, c := range []struct {
		b      BackoffSpec
		text   string
		pauses []time.Duration
	}{
		{BackoffSpec{}, "", []time.Duration{0, 0}},
		{BackoffSpec{First: 5 * s, Most: 5 * s, Factor: 1000}, "5s", []time.Duration{5 * s, 5 * s, 5 * s}},
		{BackoffSpec{First: s, Most: 30 * s, Factor: 2000, Jitter: 200}, "1s..30s x2 jitter=0.2", []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}},
		{BackoffSpec{First: 250 * ms, Most: time.Hour, Factor: 1500}, "250ms..1h x1.5", []time.Duration{250 * ms, 375 * ms, 562500 * time.Microsecond}},
		{BackoffSpec{First: 90 * s, Most: 10 * time.Minute, Factor: 100_000}, "90s..10m x100", []time.Duration{90 * s, 10 * time.Minute}},
	} {
		if c.b.String() != c.text || c.b.Set() != (c.text != "") {
			t.Errorf("%+v is %q, want %q", c.b, c.b, c.text)
		}
		for i, want := range c.pauses {
			if got := c.b.Pause(i + 1); got != want {
				t.Errorf("pause %d of %v is %v, want %v", i+1, c.b, got, want)
			}
		}
		if c.b.Pause(1<<40) != c.b.Most {
			t.Errorf("in the end the pause of %v is %v", c.b, c.b.Pause(1<<40))
		}
	}
}

func TestRate(t *testing.T) {
	r := Rate{Count: 2, Within: time.Minute}
	var at []time.Duration
	for i, step := range []struct {
		now     time.Duration
		reached bool // before it is added
	}{{0, false}, {30 * time.Second, false}, {59 * time.Second, true}, {90 * time.Second, false}, {118 * time.Second, true}} {
		if r.Reached(at, step.now) != step.reached {
			t.Errorf("moment %d: reached %v", i, !step.reached)
		}
		at = r.Add(at, step.now)
	}
	if len(at) != 2 || r.String() != "2/1m" {
		t.Errorf("%v, %v", at, r)
	}
	if one := (Rate{Count: 1, Within: 90 * time.Second}); r.Of("end") != "2 ends in 1m" || one.Of("end") != "1 end in 90s" {
		t.Errorf("%s, %s", r.Of("end"), one.Of("end"))
	}
	if none := (Rate{}); none.Reached(at, 0) || none.Add(at, 0) != nil || none.String() != "" {
		t.Error("no rate is one")
	}
	// A lower count than before.
	if one := (Rate{Count: 1, Within: time.Minute}); !one.Reached(at, 177*time.Second) || one.Reached(at, 178*time.Second) || len(one.Add(at, 1)) != 1 {
		t.Error("the latest moment alone counts")
	}
}

// TestSeconds: no number of seconds is so large that it is over at once.
func TestSeconds(t *testing.T) {
	const years = 100 * 365 * 24 * time.Hour
	for n, want := range map[int]time.Duration{
		-1: 0, 0: 0, 10: 10 * time.Second, 3_153_600_000: years, 3_153_600_001: years, 10_000_000_000: years, 18_446_744_074: years, math.MaxInt: years, math.MinInt: 0,
	} {
		if got := Seconds(n); got != want {
			t.Errorf("Seconds(%d) = %v, want %v", n, got, want)
		}
		spec := Spec{StopSignal: SIGTERM, StopWaitSecs: n}
		if got := spec.Steps()[0].Wait; got != want {
			t.Errorf("stopwaitsecs=%d: %v, want %v", n, got, want)
		}
	}
}
