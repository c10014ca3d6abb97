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

// usageOf reads what a process uses. A daemon in a container tells pids that mean other processes here, so only a child of that daemon, or one that is
// older, as after the death of its keeper, and which started when the daemon says is believed; anything else is reported as not known.
func usageOf(pid, daemon int, start time.Time) (procUsage, bool) {
	p, ok := readStat(pid)
	if !ok {
		return procUsage{}, false
	}
	if p.ppid != int64(daemon) {
		if d, ok := readStat(daemon); !ok || d.start < p.start {
			return procUsage{}, false
		}
	}
	const ticks = 100 // per second, in every /proc that user space sees
	began, ok := bootTime()
	began = began.Add(time.Duration(p.start) * time.Second / ticks)
	if !ok || began.Sub(start).Abs() > 2*time.Second {
		return procUsage{}, false
	}
	return procUsage{rss: p.rss * int64(os.Getpagesize()), cpu: float64(p.utime+p.stime) / ticks}, true
}

// procStat is what /proc tells of a process: times in ticks, memory in pages.
type procStat struct{ ppid, utime, stime, start, rss int64 }

// readStat reads it. The layout is that of proc(5); the name in parentheses may hold anything.
func readStat(pid int) (p procStat, ok bool) {
	text, err := readProc("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p, false
	}
	behind := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	for field, to := range map[int]*int64{1: &p.ppid, 11: &p.utime, 12: &p.stime, 19: &p.start, 21: &p.rss} { // fields 4, 14, 15, 22, 24
		if field >= len(behind) {
			return p, false
		}
		if *to, err = strconv.ParseInt(behind[field], 10, 64); err != nil {
			return p, false
		}
	}
	return p, true
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
