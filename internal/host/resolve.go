package host

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/shlex"
	"golang.org/x/sys/unix"
)

// resolve splits a command and finds its file (contract: process, "Spawn"). The file is as written or below a directory of path; a
// relative one is looked for in the daemon's directory (quirk C12). The error is a *CommandError.
func resolve(command string, path []string) (file string, argv []string, err *CommandError) {
	argv, serr := shlex.Split(command)
	if serr != nil {
		return "", nil, &CommandError{NotExecutable, fmt.Sprintf("can't parse command %s: %v", repr(command), serr)}
	}
	if len(argv) == 0 {
		return "", nil, &CommandError{NotExecutable, "command is empty"}
	}
	name := argv[0]
	if strings.Contains(name, "/") {
		if cerr := checkFile(name); cerr != nil {
			return "", nil, cerr
		}
		return name, argv, nil
	}
	var first *CommandError
	for _, dir := range path {
		file := name
		switch {
		case strings.HasSuffix(dir, "/"):
			file = dir + name
		case dir != "":
			file = dir + "/" + name
		}
		if _, serr := os.Stat(file); serr != nil {
			continue
		}
		cerr := checkFile(file)
		if cerr == nil {
			return file, argv, nil
		}
		if first == nil {
			first = cerr // what Supervisor says, which stops here; we go on searching (quirk C13)
		}
	}
	if first == nil {
		first = notFound(name)
	}
	return "", nil, first
}

func notFound(name string) *CommandError {
	return &CommandError{NotFound, fmt.Sprintf("can't find command %s", repr(name))}
}

// checkFile reports why file cannot be run.
func checkFile(file string) *CommandError {
	st, err := os.Stat(file)
	switch {
	case err != nil:
		return notFound(file)
	case st.IsDir():
		return &CommandError{NotExecutable, fmt.Sprintf("command at %s is a directory", repr(file))}
	case st.Mode()&0o111 == 0:
		return &CommandError{NotExecutable, fmt.Sprintf("command at %s is not executable", repr(file))}
	case unix.Access(file, unix.X_OK) != nil:
		return &CommandError{NotExecutable, fmt.Sprintf("no permission to run command %s", repr(file))}
	}
	return nil
}

// specPath returns the directories in which a process's command is searched: its own PATH, else the daemon's.
func specPath(spec *process.Spec) []string {
	for _, e := range spec.Environment {
		if e.Key == "PATH" {
			return strings.Split(e.Value, ":")
		}
	}
	if vars, _ := readEnviron(spec); vars["PATH"] != "" { // a file that cannot be read is told by the start
		return strings.Split(vars["PATH"], ":")
	}
	if path := os.Getenv("PATH"); path != "" {
		return strings.Split(path, ":")
	}
	return []string{"/bin", "/usr/bin", "/usr/local/bin"}
}

// repr quotes s as Python does, which is how Supervisor prints commands and files.
func repr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for i, r := range s {
		switch {
		case r == '\\' || r == rune(quote):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r == 0xfffd && s[i] != 0xef:
			fmt.Fprintf(&b, `\udc%02x`, s[i]) // a byte that is no UTF-8, as Python's surrogateescape shows it
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

// errnoName returns the name of the errno inside err, e.g. "ENOENT", or the text of another error.
func errnoName(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return err.Error()
}
