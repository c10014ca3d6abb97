package control

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// supervisorCodes are the faults of Supervisor 4.2.5.
const supervisorCodes = "1 UNKNOWN_METHOD, 2 INCORRECT_PARAMETERS, 3 BAD_ARGUMENTS, 4 SIGNATURE_UNSUPPORTED, 6 SHUTDOWN_STATE, 10 BAD_NAME, 11 BAD_SIGNAL, " +
	"20 NO_FILE, 21 NOT_EXECUTABLE, 30 FAILED, 40 ABNORMAL_TERMINATION, 50 SPAWN_ERROR, 60 ALREADY_STARTED, 70 NOT_RUNNING, 80 SUCCESS, 90 ALREADY_ADDED, " +
	"91 STILL_RUNNING, 92 CANT_REREAD"

// TestCodes compares numbers and names of the faults with Supervisor's; where it is installed it is asked (contract: rpc, "Dispatch and
// faults").
func TestCodes(t *testing.T) {
	var names []string
	for code := range Code(300) {
		if name := code.String(); name != Code(299).String() {
			names = append(names, fmt.Sprintf("%d %s", int(code), name))
		}
	}
	if got := strings.Join(names, ", "); got != supervisorCodes {
		t.Errorf("codes\n%s\nwant\n%s", got, supervisorCodes)
	}
	const script = "from supervisor.xmlrpc import Faults; print(', '.join('%d %s' % (c, n) for c, n in " +
		"sorted((c, n) for n, c in vars(Faults).items() if not n.startswith('_'))))"
	out, err := exec.Command("/usr/bin/python3", "-c", script).Output()
	if err != nil {
		t.Log("Supervisor is not installed: its recorded codes have to do")
		return
	}
	if got := strings.TrimSpace(string(out)); got != supervisorCodes {
		t.Errorf("Supervisor has\n%s\nrecorded\n%s", got, supervisorCodes)
	}
}
