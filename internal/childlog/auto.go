package childlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"
)

// autoLetters are the characters that make the name of an AUTO log unique, as Python's tempfile uses them.
const autoLetters = "abcdefghijklmnopqrstuvwxyz0123456789_"

// AutoName returns a fresh name for the AUTO log of a channel: "<process>-<channel>---<identifier>-<8 random characters>.log".
func AutoName(process, channel, identifier string) string {
	var random [8]byte
	for i := range random {
		for {
			var b [1]byte
			rand.Read(b[:])
			if n := int(b[0]); n < len(autoLetters)*(256/len(autoLetters)) { // no letter more likely than another
				random[i] = autoLetters[n%len(autoLetters)]
				break
			}
		}
	}
	return fmt.Sprintf("%s-%s---%s-%s.log", process, channel, identifier, random[:])
}

// CleanAuto removes the AUTO logs that earlier runs under this identifier left in dir, backups included (contract: logging, "AUTO
// cleanup"). failed lists the paths that could not be removed; the error says that dir could not be read.
//
// Unlike Supervisor it takes the identifier literally, not for a pattern, and spares a log that somebody has open for writing, with its
// backups: another daemon with the same identifier lives in this directory (quirk F2).
func CleanAuto(dir, identifier string) (failed []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot clear childlog dir: %w", err)
	}
	name := autoPattern(identifier)
	written := map[string]bool{} // logs, by name
	isWritten := func(log string) bool {
		known, ok := written[log]
		if !ok {
			known = hasWriter(filepath.Join(dir, log))
			written[log] = known
		}
		return known
	}
	for _, e := range entries {
		if !name.MatchString(e.Name()) {
			continue
		}
		if isWritten(e.Name()) || isWritten(backupSuffix.ReplaceAllString(e.Name(), "")) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if err := syscall.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // not os.Remove: directories stay
			failed = append(failed, path)
		}
	}
	return failed, nil
}

// backupSuffix is what a rotated log has behind its name.
var backupSuffix = regexp.MustCompile(`\.[0-9]+$`)

// hasWriter reports whether anybody has the file at path open for writing. Where that cannot be found out the answer is no.
//
// The kernel knows: it grants a read lease only on a file without writers. That costs two system calls for each log, where a look through
// the descriptors of all processes costs one for each of them, and it also sees processes of other users and other containers. The lease
// is gone at once, so nobody ever waits for it.
func hasWriter(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
	return err == unix.EAGAIN
}

// autoPattern matches the beginning of a name, as Supervisor does: what follows ".log" does not matter.
func autoPattern(identifier string) *regexp.Regexp {
	return regexp.MustCompile(`^.+?---` + regexp.QuoteMeta(identifier) + `-\S+\.log`)
}
