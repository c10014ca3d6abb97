package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/graced/graced/internal/client"
	"github.com/graced/graced/internal/config/configtest"
	"github.com/graced/graced/internal/xmlrpc"
)

// oursAlone are the members of getAllConfigInfo that Debian's release has not (quirk D7).
var oursAlone = []string{"autorestart"}

var (
	programHeader = regexp.MustCompile(`(?m)^\[((?:program|eventlistener|fcgi-program):[^\]]+)\]`)
	socketLine    = regexp.MustCompile(`(?m)^file\s*=.*$`)
	autoLogName   = regexp.MustCompile(`(-std(?:out|err)---[a-z]+-)[^."]+(\.log)`)
)

// TestRealConfigs runs both daemons on configurations in the shape of real ones: they tell the same about every process.
func TestRealConfigs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("hidden: configurations in the shape of real ones in both daemons, because they name users, which takes root")
	}
	if !installed(debianDaemon) || testing.Short() {
		t.Skip("hidden: configurations in the shape of real ones in both daemons, because Supervisor is not installed, or -short is given")
	}
	ours, err := build(t.TempDir(), "supervisord", "graced")
	if err != nil {
		t.Fatal(err)
	}
	for _, tree := range configtest.Trees {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			got := allConfigInfo(t, pairing{name: "graced", daemon: ours, ourDaemon: true}, tree)
			want := allConfigInfo(t, pairing{name: "Debian's supervisord", daemon: debianDaemon}, tree)
			if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) || len(want) == 0 {
				t.Fatalf("processes %q\n  Supervisor has %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			for name, theirs := range want {
				for key, value := range theirs {
					if got[name][key] != value {
						t.Errorf("%s: %s is %s, Supervisor has %s", name, key, got[name][key], value)
					}
				}
				maps.DeleteFunc(got[name], func(key, _ string) bool { return theirs[key] != "" })
				if alone := slices.Sorted(maps.Keys(got[name])); !slices.Equal(alone, oursAlone) {
					t.Errorf("%s: only we have %q, want %q", name, alone, oursAlone)
				}
			}
			t.Logf("%d processes", len(want))
		})
	}
}

// allConfigInfo runs a daemon on a configuration and returns the members of getAllConfigInfo as JSON, by group:name. The position in the
// answer is one of them.
func allConfigInfo(t *testing.T, p pairing, tree string) map[string]map[string]string {
	t.Helper()
	e := newEnvironment(t, p)
	e.env = append(e.env, "TMPDIR="+e.dir)
	for _, k := range slices.Sorted(maps.Keys(configtest.Environ)) {
		e.env = append(e.env, k+"="+configtest.Environ[k])
	}
	if err := configtest.Place(tree, e.dir); err != nil {
		t.Fatal(err)
	}
	e.disarm()
	e.start(tree)
	c, err := client.New("unix://"+e.path("s.sock"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	answer, err := c.Call(context.Background(), "supervisor.getAllConfigInfo")
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	mask := strings.NewReplacer(e.dir, "$D", "127.0.0.1:"+e.port, "127.0.0.1:$P")
	out := map[string]map[string]string{}
	for i, info := range answer.([]any) {
		members := map[string]string{"position": fmt.Sprint(i)}
		for _, m := range info.(xmlrpc.Struct) {
			data, err := json.Marshal(m.Value)
			if err != nil {
				t.Fatal(err)
			}
			members[m.Name] = autoLogName.ReplaceAllString(mask.Replace(string(data)), "${1}RANDOM${2}")
		}
		out[members["group"]+":"+members["name"]] = members
	}
	return out
}

// disarm turns a configuration that was placed into one that can be run anywhere: nothing starts, and the servers are those of the test.
func (e *environment) disarm() {
	e.Helper()
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := string(data)
		for _, m := range programHeader.FindAllStringSubmatch(text, -1) {
			text += "\n[" + m[1] + "]\nautostart=false\n"
		}
		text = strings.ReplaceAll(text, "127.0.0.1:9001", "127.0.0.1:"+e.port)
		if filepath.Base(path) == "supervisord.conf" {
			path = e.path("s.conf")
			text = socketLine.ReplaceAllString(text, "file="+e.path("s.sock"))
		}
		return os.WriteFile(path, []byte(text), 0o644)
	})
	if err != nil {
		e.Fatal(err)
	}
}
