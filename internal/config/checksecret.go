package config

import (
	"regexp"
	"slices"
	"strings"
)

// namedSecret finds a name that is said to be that of a secret, with its value: --password=x, --token x, API_KEY=x, ?secret=x. The name has to end
// with the word: --token-file and --max-tokens are about something else.
const namedSecret = `(?i)(?:^|[\s"'?&;(])((-{0,2})(?:[a-z0-9_.-]*)(?:password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|secret[-_]?key))(=|[ \t]+)("[^"]*"|'[^']*'|[^\s"'&;|)]*)`

// noSecrets are values that switch something on or off.
var noSecrets = []string{"", "true", "false", "yes", "no", "on", "off", "none", "null", "auto", "ask", "prompt", "required", "optional", "0", "1"}

// saysSecret returns where in a text the name of a secret stands whose value stands behind it; 0, 0 if there is none. A value that comes from elsewhere is
// none: a variable, a path, something that is expanded.
func saysSecret(text string) (from, to int) {
	if !soundsSecret(text) {
		return 0, 0
	}
	for _, at := range regexp.MustCompile(namedSecret).FindAllStringSubmatchIndex(text, -1) {
		dashes, sep, value := text[at[4]:at[5]], text[at[6]:at[7]], strings.Trim(text[at[8]:at[9]], `"'`)
		switch {
		case sep != "=" && dashes == "":
		case strings.ContainsAny(value, "$`<{") || strings.Contains(value, "%("):
		case strings.HasPrefix(value, "/") || strings.HasPrefix(value, "./") || strings.HasPrefix(value, "~") || strings.HasPrefix(value, "@") || strings.HasPrefix(value, "-"):
		case strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:") || strings.HasPrefix(value, "fd:"):
		case slices.Contains(noSecrets, lower(value)):
		default:
			return at[2], at[3]
		}
	}
	return 0, 0
}

// lookSecrets looks for secrets in commands and URLs, which are shown wherever these are.
func (c *checker) lookSecrets() {
	keys := []string{"command", "drain_command", "reload_command", "pre_start", "post_ready", "pre_stop", "post_stop", "ready", "alive"}
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
			if from, to := saysSecret(e.value); to > 0 {
				c.warnAt(WarnShownSecret, sec, e, c.span(e, from, to-from), "a secret seems to stand in "+key, way, "status, plans, logs and the list of processes show it to everybody")
			}
		}
	}
}
