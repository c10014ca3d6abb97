package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/process"
)

// environMost bounds the size of an environment file.
const environMost = 1 << 20

// withFiles adds what the spec's environment files and secrets say, as they are now, to an environment. Names that the spec sets itself, and those of
// graced's own, stay as they are, unless they are secrets; of files the later ones win. The text says why one cannot be read, and never shows a value.
func withFiles(environ []string, spec *process.Spec) (out []string, text string) {
	vars, text := readEnviron(spec)
	if text == "" {
		text = readSecrets(spec.Secrets, vars)
	}
	if text != "" || len(vars) == 0 {
		return environ, text
	}
	out = slices.DeleteFunc(slices.Clone(environ), func(line string) bool {
		key, _, _ := strings.Cut(line, "=")
		_, said := vars[key]
		return said
	})
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, key+"="+vars[key])
	}
	return out, ""
}

// readEnviron returns what the environment files of a spec say of names that nobody else sets.
func readEnviron(spec *process.Spec) (vars map[string]string, text string) {
	vars = map[string]string{}
	for _, name := range spec.EnvironmentFiles {
		path, optional := strings.CutPrefix(name, "-")
		data, err := readRegular(path)
		switch {
		case optional && errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return nil, fmt.Sprintf("environment_file %s cannot be read: %v", path, err)
		}
		if line, why := parseEnviron(data, vars); why != "" {
			return nil, fmt.Sprintf("environment_file %s:%d: %s", path, line, why)
		}
	}
	for _, e := range spec.Environment {
		delete(vars, e.Key)
	}
	for _, key := range []string{"SUPERVISOR_ENABLED", "SUPERVISOR_SERVER_URL", "SUPERVISOR_PROCESS_NAME", "SUPERVISOR_GROUP_NAME"} {
		delete(vars, key)
	}
	return vars, ""
}

// variableMost bounds a variable, with its name and the NUL at its end: what the kernel gives to a program (MAX_ARG_STRLEN).
const variableMost = 128 << 10

// readSecrets reads secrets into vars, each without the end of its last line. The text says what is wrong with which, and never shows a value.
func readSecrets(list []process.Secret, vars map[string]string) (text string) {
	for _, s := range list {
		data, err := readRegular(s.Path)
		data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
		switch {
		case err != nil:
			return fmt.Sprintf("secret_files: %s cannot be read from %s: %v", s.Key, s.Path, err)
		case bytes.IndexByte(data, 0) >= 0:
			return fmt.Sprintf("secret_files: %s has a NUL in it, in %s", s.Key, s.Path)
		case len(s.Key)+len("=")+len(data)+1 > variableMost:
			return fmt.Sprintf("secret_files: %s is too long for a variable, in %s", s.Key, s.Path)
		}
		vars[s.Key] = string(data)
	}
	return ""
}

// readRegular reads a file, and never waits for anybody to write it.
func readRegular(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is no regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, environMost+1))
	if err == nil && len(data) > environMost {
		err = errors.New("it is larger than 1 MiB")
	}
	return data, err
}

// parseEnviron reads lines KEY=VALUE into vars, and says what is wrong with which.
func parseEnviron(data []byte, vars map[string]string) (line int, why string) {
	for text := range strings.Lines(string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))) {
		line++
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(text, "export "), "=")
		if !ok || !process.IsVariable(key) {
			return line, "this is no KEY=VALUE"
		}
		if value, why = unquote(strings.TrimSpace(value)); why != "" {
			return line, "the value of " + key + why
		}
		vars[key] = value
	}
	return line, ""
}

// unquote reads a value: as it stands, or in quotes. Between double ones a backslash is itself unless \, ", $, ` or n follows, which is a new line.
func unquote(s string) (value, why string) {
	if strings.IndexByte(s, 0) >= 0 {
		return "", " has a NUL in it"
	}
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return s, ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			if rest := strings.TrimSpace(s[i+1:]); rest != "" && rest[0] != '#' {
				return "", " goes on behind its quotes"
			}
			return b.String(), ""
		case c == '\\' && s[0] == '"' && i+1 < len(s) && strings.IndexByte("\\\"$`n", s[i+1]) >= 0:
			i++
			if c = s[i]; c == 'n' {
				c = '\n'
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return "", " has a quote that never closes"
}
