package config

import (
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

// lookSecrets looks for secrets in commands and URLs, which are shown wherever these are.
func (c *checker) lookSecrets() {
	keys := slices.Concat(commandKeys, []string{"ready", "alive"})
	for _, sec := range c.table.sections {
		if !isProcessKind(sec.name) {
			continue
		}
		for _, key := range keys {
			e, ok := c.table.get(sec, key)
			if !ok {
				continue
			}
			way := "put it into a file for secret_files or environment_file, and let the program read the variable"
			if key == "ready" || key == "alive" {
				if kind := lower(e.value); !strings.HasPrefix(kind, "http:") && !strings.HasPrefix(kind, "exec:") {
					continue
				}
				way = "let a script of exec: read it from a file: a check gets no secret_files"
			}
			if found := process.ShownSecrets(e.value); len(found) > 0 {
				c.warnAt(WarnShownSecret, sec, e, c.span(e, found[0].From, found[0].To-found[0].From), "a secret seems to stand in "+key, way,
					"the list of processes shows it to everybody, and getAllConfigInfo to every client")
			}
		}
	}
}
