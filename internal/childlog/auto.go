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

// CreateAuto creates the empty AUTO log of a channel in dir, readable by the daemon's user alone, and returns its path.
func CreateAuto(dir, process, channel, identifier string) (path string, err error) {
	const tries = 100
	for range tries {
		path = filepath.Join(dir, AutoName(process, channel, identifier))
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("cannot create log: %w", err)
		}
		return path, f.Close()
	}
	return "", fmt.Errorf("cannot create log in %s: no free name", dir)
}

// CleanAuto removes the AUTO logs that earlier runs under this identifier left in dir, backups included (contract: logging, "AUTO
// cleanup"). failed lists the paths that could not be removed; the error says that dir could not be read.
//
// The identifier is taken literally, where Supervisor takes it for a pattern (quirk F2).
func CleanAuto(dir, identifier string) (failed []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot clear childlog dir: %w", err)
	}
	name := autoPattern(identifier)
	for _, e := range entries {
		if !name.MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if err := syscall.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // not os.Remove: directories stay
			failed = append(failed, path)
		}
	}
	return failed, nil
}

// autoPattern matches the beginning of a name, as Supervisor does: what follows ".log" does not matter.
func autoPattern(identifier string) *regexp.Regexp {
	return regexp.MustCompile(`^.+?---` + regexp.QuoteMeta(identifier) + `-\S+\.log`)
}
