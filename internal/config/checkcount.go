package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// manyProcesses is more than a program has on purpose.
const manyProcesses = 10_000

// lookCounts looks at the numbers of processes of all sections, those without any too.
func (c *checker) lookCounts() {
	for _, sec := range c.table.sections {
		e, ok := c.table.get(sec, "numprocs")
		if !ok || !isProcessKind(sec.name) {
			continue
		}
		switch n, err := strconv.Atoi(strip(e.value)); {
		case err != nil:
		case n < 0:
			c.warnAt(WarnNothing, sec, e, c.value(e), "numprocs="+strip(e.value)+" is no process, as 0 is", "write 1 or more; 0 keeps the program without any")
		case n > manyProcesses && n <= maxProcesses:
			c.warnAt(WarnMany, sec, e, c.value(e), fmt.Sprintf("numprocs=%d is more than this machine is likely to carry", n), "each is a process with descriptors of its own, and with some kilobytes in the daemon")
		}
	}
}

// lookTimes looks for times in which nothing can happen.
func (c *checker) lookTimes(sec *section, p process.Spec) {
	if e, ok := c.table.get(sec, "stopwaitsecs"); ok && p.StopWaitSecs < 0 && len(p.StopSteps) == 0 {
		c.warnAt(WarnNothing, sec, e, c.value(e), "stopwaitsecs="+strings.TrimSpace(e.value)+" leaves no time to stop: SIGKILL follows at once, as with 0", "write the seconds that the program needs")
	}
	for what, tell := range map[string]process.TellSpec{"drain": p.Drain, "reload": p.Reload} { // the findings are sorted
		if e, ok := c.table.get(sec, what+"_timeout"); ok && tell.Command != "" && tell.Timeout == 0 {
			c.warnAt(WarnNothing, sec, e, c.value(e), what+"_timeout=0 has "+what+"_command killed as soon as it is started", "write the time that it may take, such as 30s")
		}
	}
}
