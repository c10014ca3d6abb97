package host

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// keeperEnv makes this binary a keeper whose daemons are scripted; it names the script.
const keeperEnv = "HOST_TEST_KEEPER"

// scriptedDaemons are what a daemon of a scripted keeper does. It returns without a Leave to be followed by another.
var scriptedDaemons = map[string]func(l *Link){
	"asks and dies": asksAndDies,
}

// beKeeper is the keeper, or one of its daemons.
func beKeeper(script string) {
	l, err := Dial()
	if err != nil {
		panic(err)
	}
	if l != nil {
		scriptedDaemons[script](l)
		os.Exit(0)
	}
	k, err := NewKeeper(KeeperOptions{
		Argv: os.Args, Environ: os.Environ(), Patience: time.Minute, Trouble: func(text string) { fmt.Println("trouble:", text) },
	})
	if err != nil {
		panic(err)
	}
	code, _ := k.Run()
	os.Exit(code)
}

// runKeeper runs a script, and returns what keeper and daemons have printed.
func runKeeper(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), keeperEnv+"="+script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("keeper: %v", err)
	}
	return string(out)
}

// asksAndDies asks for many processes, and dies at once. The next daemon counts those that it is told of.
func asksAndDies(l *Link) {
	const many = 200
	if l.Generation == 1 {
		if err := l.Setup(Setup{Umask: process.UnsetMask, UID: process.UnsetID}); err != nil {
			panic(err)
		}
		null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			panic(err)
		}
		l.Ready()
		for i := range many {
			m := &spawnChild{
				life: life{process.ID(i + 1), 1}, name: "x", file: "/bin/true", argv: []string{"true"}, umask: process.UnsetMask,
				ends: childStdin | childStdout | childStderr,
			}
			l.say(m, dup(null), dup(null), dup(null))
		}
		return
	}
	l.mu.Lock()
	fmt.Println(len(l.records), "of", many)
	l.mu.Unlock()
	l.Leave(Leave{How: Over})
}

// TestKeeperAfterDeath checks that a daemon hears of everything that the one before it has asked for, also of what the keeper comes to after its death.
func TestKeeperAfterDeath(t *testing.T) {
	if out := runKeeper(t, "asks and dies"); out != "200 of 200\n" {
		t.Errorf("the second daemon: %s", out)
	}
}
