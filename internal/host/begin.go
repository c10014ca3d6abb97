package host

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// execEnv names the environment variable by which a program tells the one that it executes in its own place what there is: see beginning.
const execEnv = "GRACED_EXEC"

// beginning is what a program was told by the one before it in the same process.
type beginning struct {
	manifest int    // the descriptor of what a keeper has left; -1 = this is a start
	before   int    // that of the program before, to go back to; -1 = there is none
	why      string // the program before is back, for this reason
}

// begun is how this program began.
var begun = beginning{manifest: -1, before: -1}

func (b *beginning) String() string {
	return fmt.Sprintf("%s=%d,%d,%s", execEnv, b.manifest, b.before, b.why)
}

// readBegun reads execEnv, which nobody else shall see. What makes no sense is not from us.
func readBegun() {
	text, ok := os.LookupEnv(execEnv)
	if !ok {
		return
	}
	_ = os.Unsetenv(execEnv) // it is a good name
	words := strings.SplitN(text, ",", 3)
	b := beginning{why: words[len(words)-1]}
	if n, _ := fmt.Sscanf(text, "%d,%d,", &b.manifest, &b.before); n != 2 || len(words) != 3 {
		return
	}
	begun = b
	setCloseOnExec(b.manifest, true)
	setCloseOnExec(b.before, true)
}

// execute goes on as another program in this process. It returns when that cannot be.
func execute(program *os.File, argv, environ []string, says *beginning) error {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) // it cannot fail
	err := syscall.Exec(nameOf(program, argv[0]), argv, append(slices.Clone(environ), says.String()))
	// Go has set the limit back to what children get. Its own functions to raise it would raise that, too.
	_, _, _ = syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	return err
}

// asideFrom is above the descriptors that a program is started with.
const asideFrom = 64

// aside gives an open program a descriptor that nothing else takes in a process on its way to it: where its file has gone, that is how it is named.
func aside(program *os.File) *os.File {
	if program.Fd() >= asideFrom {
		return program
	}
	fd, err := unix.FcntlInt(program.Fd(), unix.F_DUPFD_CLOEXEC, asideFrom)
	if err != nil {
		return program // too few descriptors are allowed
	}
	_ = program.Close() // its copy stays
	return os.NewFile(uintptr(fd), program.Name())
}

// nameOf names the file of an open program, so that it is seen under that name: as it was called, unless argv0 is "", or by its path. Where both are
// another file by now it is the descriptor.
func nameOf(program *os.File, argv0 string) string {
	fd := fmt.Sprintf("/proc/self/fd/%d", program.Fd())
	own, err := program.Stat()
	if err != nil {
		return fd
	}
	called := ""
	if argv0 != "" {
		called, _ = exec.LookPath(argv0) // "" is no file
	}
	path, _ := os.Readlink(fd) // likewise
	for _, name := range []string{called, path} {
		if now, err := os.Stat(name); err == nil && os.SameFile(now, own) {
			return name
		}
	}
	return fd
}

// action is what the kernel does at a signal, as rt_sigaction(2) has it. The zero value is the default.
type action [64]byte

// ignoring is SIG_IGN, for whatever handler comes first in the kernel's sigaction: everywhere but on mips.
var ignoring = func() (a action) {
	*(*uintptr)(unsafe.Pointer(&a)) = 1
	return a
}()

// swapAction sets an action behind the back of Go's runtime, and returns what it was.
func swapAction(sig syscall.Signal, to action) (was action) {
	// No error is possible with a valid signal number.
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&to)), uintptr(unsafe.Pointer(&was)), unsafe.Sizeof(uint64(0)), 0, 0)
	return was
}

// DefaultAction gives a signal that Go's runtime takes the meaning that it has for any process.
func DefaultAction(sig syscall.Signal) { swapAction(sig, action{}) }

// setCloseOnExec says whether a descriptor is closed when a program is executed. A negative one is none.
func setCloseOnExec(fd int, on bool) {
	if fd < 0 {
		return
	}
	flags := 0
	if on {
		flags = unix.FD_CLOEXEC
	}
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags) // it fails for one that is closed
}
