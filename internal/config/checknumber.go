package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// The bounds of numbers that can be meant.
const (
	smallLog     = 1024      // bytes, in which hardly a line fits
	manyBackups  = 10_000    // a rotation looks for each of them
	longStart    = 24 * 3600 // seconds
	pidsOfKernel = 4_194_304 // there are never more processes on a Linux
)

// said writes an option as it stands in the file.
func said(e *entry) string { return e.key + "=" + strings.TrimSpace(e.value) }

// lookDaemonNumbers looks for numbers of [supervisord] that cannot be meant.
func (c *checker) lookDaemonNumbers() {
	sec, ok := c.table.index["supervisord"]
	if !ok {
		return
	}
	s := c.config.Supervisord
	c.lookLeast(sec, "minfds", s.MinFDs, "open files", 1024)
	c.lookLeast(sec, "minprocs", s.MinProcs, "processes", 200)
	if data, err := c.m.ReadFile("/proc/sys/fs/nr_open"); err == nil {
		most, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if e, ok := c.table.get(sec, "minfds"); ok && err == nil && s.MinFDs > most {
			c.warnAt(WarnAbsurd, sec, e, c.value(e), fmt.Sprintf("%s is more than a process can have here: %d (fs.nr_open)", said(e), most), "the daemon does not start with it; write a smaller number")
		}
	}
	if e, ok := c.table.get(sec, "minprocs"); ok && s.MinProcs > pidsOfKernel {
		c.warnAt(WarnAbsurd, sec, e, c.value(e), fmt.Sprintf("%s is more than there are pids: %d", said(e), pidsOfKernel), "the daemon starts with it only where it may raise the limit so far; write a smaller number")
	}
	c.lookMask(sec, s.Umask)
	if s.Logfile != "syslog" {
		c.lookSizes(sec, "logfile", s.LogfileMaxBytes, s.LogfileBackups)
	}
}

// lookLeast looks at a number that the daemon wants to have at least.
func (c *checker) lookLeast(sec *section, key string, n int, of string, usual int) {
	if e, ok := c.table.get(sec, key); ok && n < 0 {
		c.warnAt(WarnNothing, sec, e, c.value(e), said(e)+" asks for nothing, as 0 does", fmt.Sprintf("write how many %s there have to be, or remove it: %d is the default", of, usual))
	}
}

// lookMask looks for bits of a umask that nothing looks at.
func (c *checker) lookMask(sec *section, mask int) {
	e, ok := c.table.get(sec, "umask")
	if !ok {
		return
	}
	if n, err := ParseOctal(e.value); err == nil && n < 0 {
		c.warnAt(WarnRange, sec, e, c.value(e), fmt.Sprintf("%s is below 0, and works as %03o", said(e), mask&0o777), "write an octal number such as 022")
	} else if mask > 0o777 {
		c.warnAt(WarnRange, sec, e, c.value(e), "only the last three digits of a umask count", fmt.Sprintf("it works as %03o", mask&0o777))
	}
}

// lookSizes looks at how a log is rotated.
func (c *checker) lookSizes(sec *section, log string, most int64, backups int) {
	if e, ok := c.table.get(sec, log+"_maxbytes"); ok {
		switch {
		case most < 0:
			c.warnAt(WarnNothing, sec, e, c.value(e), said(e)+" never rotates the log, as 0 does", "write 0 if that is meant, or a size such as 50MB")
		case most > 0 && most < smallLog:
			c.warnAt(WarnAbsurd, sec, e, c.value(e), fmt.Sprintf("%s is %d bytes: the log is rotated with nearly every line", said(e), most), "write the unit as well: 50MB")
		}
	}
	if e, ok := c.table.get(sec, log+"_backups"); ok {
		switch {
		case backups < 0:
			c.warnAt(WarnNothing, sec, e, c.value(e), said(e)+" keeps no old log, as 0 does: a full one is emptied", "write how many to keep; 10 is the default")
		case backups > manyBackups:
			c.warnAt(WarnAbsurd, sec, e, c.value(e), said(e)+" has every rotation look for as many files, and no log is written meanwhile", "write how many to keep; 10 is the default")
		}
	}
}

// lookNumbers looks for numbers of a program that cannot be meant.
func (c *checker) lookNumbers(sec *section, p process.Spec) {
	if e, ok := c.table.get(sec, "startsecs"); ok {
		switch {
		case p.StartSecs < 0 && !c.endless(p):
			c.warnAt(WarnNothing, sec, e, c.value(e), said(e)+" waits for nothing, as 0 does: the process is RUNNING at once", "write the seconds after which a start has succeeded")
		case p.StartSecs > longStart:
			c.warnAt(WarnAbsurd, sec, e, c.value(e), fmt.Sprintf("%s keeps the process STARTING for more than a day", said(e)), "write the seconds after which a start has succeeded; 1 is the default")
		}
	}
	if e, ok := c.table.get(sec, "startretries"); ok && p.StartRetries < -1 && p.Backoff.Set() {
		c.warnAt(WarnNothing, sec, e, c.value(e), said(e)+" never gives up, as -1 does", "write -1 if that is meant, or how often to try again")
	}
	c.lookMask(sec, p.Umask)
	for channel, log := range map[string]process.LogSpec{"stdout": p.Stdout, "stderr": p.Stderr} { // the findings are sorted
		if log.File.Kind != process.LogNone {
			c.lookSizes(sec, channel+"_logfile", log.MaxBytes, log.Backups)
		}
		if e, ok := c.table.get(sec, channel+"_capture_maxbytes"); ok && log.CaptureMaxBytes < 0 {
			c.warnAt(WarnNothing, sec, e, c.value(e), said(e)+" captures nothing, as 0 does", "write the bytes that an event may have, such as 1MB", "under Supervisor events tell a part of what stands between the tags")
		}
	}
	for _, key := range []string{"priority", "startretries", "stopwaitsecs"} { // of others a smaller number is too large already
		c.lookBits(sec, key)
	}
}

// lookGroupNumbers looks at the priorities of groups.
func (c *checker) lookGroupNumbers() {
	for _, sec := range c.table.sections {
		if strings.HasPrefix(sec.name, "group:") {
			c.lookBits(sec, "priority")
		}
	}
}

// lookBits looks for a number that XML-RPC cannot carry.
func (c *checker) lookBits(sec *section, key string) {
	e, ok := c.table.get(sec, key)
	if !ok {
		return
	}
	if n, err := ParseInt(e.value); err == nil && (n > math.MaxInt32 || n < math.MinInt32) {
		c.warnAt(WarnAbsurd, sec, e, c.value(e), said(e)+" has more than 32 bits", "write a number of at most 9 digits", "under Supervisor supervisorctl avail and getAllConfigInfo fail with it")
	}
}
