package report

import (
	"fmt"
	"path/filepath"
	"strings"
)

// isVariable reports whether a word is NAME=VALUE; no file is called so.
func isVariable(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// addEnvironment adds a variable, NAME=VALUE, or those of a file to the environment that %(ENV_NAME)s looks into. A file has one variable on a line,
// as systemd's EnvironmentFile: quotes around a value are taken off, lines that begin with # or ; are remarks, "export " may stand before a name.
func (c *Command) addEnvironment(word string) error {
	if isVariable(word) {
		c.Machine.Environ = append(c.Machine.Environ, word)
		return nil
	}
	path := word
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Machine.Dir, path)
	}
	data, err := c.Machine.ReadFile(path)
	if err != nil {
		return fmt.Errorf("neither NAME=VALUE nor a file that can be read: %w", err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if !isVariable(line) {
			return fmt.Errorf("%s:%d is no NAME=VALUE", word, i+1)
		}
		name, value, _ := strings.Cut(line, "=")
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		c.Machine.Environ = append(c.Machine.Environ, name+"="+value)
	}
	return nil
}
