package ctl

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// procUsage is what a process of this machine uses, read from /proc, which only Linux has.
type procUsage struct {
	rss int64   // bytes of memory in use
	cpu float64 // seconds of processor time since the start
}

// isLocal reports whether the daemon behind a server URL runs on this machine, as far as the URL tells.
func isLocal(serverURL string) bool {
	scheme, rest := splitScheme(serverURL)
	host, _, _ := strings.Cut(strings.TrimPrefix(rest, "//"), ":")
	return scheme == "unix" || host == "localhost" || host == "127.0.0.1"
}

// usageOf reads what a process uses. A daemon in a container tells pids that mean other processes here, so only a child of that daemon which
// started when it says is believed; anything else is reported as not known.
func usageOf(pid, daemon int, start time.Time) (procUsage, bool) {
	// The layout is that of proc(5); the name in parentheses may hold anything.
	text, err := readProc("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procUsage{}, false
	}
	behind := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const ppid, utime, stime, starttime, rss = 1, 11, 12, 19, 21 // fields 4, 14, 15, 22, 24
	if len(behind) <= rss {
		return procUsage{}, false
	}
	var n [rss + 1]int64
	for _, i := range []int{ppid, utime, stime, starttime, rss} {
		if n[i], err = strconv.ParseInt(behind[i], 10, 64); err != nil {
			return procUsage{}, false
		}
	}
	began, ok := bootTime()
	const ticks = 100 // per second, in every /proc that user space sees
	began = began.Add(time.Duration(n[starttime]) * time.Second / ticks)
	if !ok || n[ppid] != int64(daemon) || began.Sub(start).Abs() > 2*time.Second {
		return procUsage{}, false
	}
	return procUsage{rss: n[rss] * int64(os.Getpagesize()), cpu: float64(n[utime]+n[stime]) / ticks}, true
}

// bootTime is when this machine was started. It is read once: the file is long on a machine of many processors.
var bootTime = sync.OnceValues(func() (time.Time, bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, false
	}
	_, behind, found := strings.Cut(string(text), "\nbtime ")
	digits, _, _ := strings.Cut(behind, "\n")
	seconds, err := strconv.ParseInt(digits, 10, 64)
	return time.Unix(seconds, 0), found && err == nil
})
