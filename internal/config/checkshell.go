package config

import (
	"regexp"
	"slices"
	"strings"
)

// commandKeys are the options that hold a command.
var commandKeys = []string{"command", "drain_command", "reload_command", "pre_start", "post_ready", "pre_stop", "post_stop"}

// shellWords are what only a shell understands, where they stand as words.
var shellWords = []string{"&&", "||", "|", "&", ">", ">>", "<", "2>", "2>>", "2>&1", ">&2", "1>&2", "&>"}

// shellCommands are commands that no file has.
var shellCommands = []string{"cd", "source", ".", "export", "ulimit", "umask", "exec", "set", "unset", "alias", "eval", "trap"}

// shells are programs that understand all of that in their words.
var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox"}

const (
	assignment = `^[A-Za-z_][A-Za-z0-9_]*=`
	// shellVariable is $NAME or ${NAME}, which nobody expands.
	shellVariable = `\$(?:\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)`
)

// lookShell looks for commands and environments that are written for a shell, which there is none.
func (c *checker) lookShell() {
	for _, sec := range c.table.sections {
		if e, ok := c.table.get(sec, "environment"); ok && (isProcessKind(sec.name) || sec.name == "supervisord") {
			c.lookVariable(sec, e)
		}
		if !isProcessKind(sec.name) {
			continue
		}
		for _, key := range commandKeys {
			if e, ok := c.table.get(sec, key); ok {
				c.lookShellWords(sec, e)
			}
		}
	}
}

// lookVariable looks for $PATH in an environment, and for other variables that are known.
func (c *checker) lookVariable(sec *section, e *entry) {
	if !strings.Contains(e.value, "$") {
		return
	}
	for _, at := range regexp.MustCompile(shellVariable).FindAllStringIndex(e.value, -1) {
		name := strings.Trim(e.value[at[0]:at[1]], "${}")
		if _, known := c.m.getenv(name); known || name == "PATH" || name == "HOME" {
			c.warnAt(WarnShell, sec, e, c.span(e, at[0], at[1]-at[0]), "nothing expands $"+name+" in the environment", "write %(ENV_"+name+")s")
			return
		}
	}
}

// lookShellWords reports the first word of a command that only a shell understands.
func (c *checker) lookShellWords(sec *section, e *entry) {
	if !strings.ContainsAny(e.value, "&|<>$=~") && !slices.ContainsFunc(shellCommands, func(w string) bool { return strings.HasPrefix(e.value, w+" ") }) {
		return
	}
	const way = "graced starts programs without a shell: write sh -c '...' around the whole command, or name a script"
	shell := false
	for i, at := range rawWords(e.value) {
		word := e.value[at[0]:at[1]]
		place := c.span(e, at[0], at[1]-at[0])
		name := word[strings.LastIndexByte(word, '/')+1:]
		variable := []int(nil)
		if strings.Contains(word, "$") && !strings.HasPrefix(word, "'") && !strings.Contains(word, `\$`) {
			variable = regexp.MustCompile(shellVariable).FindStringIndex(word)
		}
		switch {
		case slices.Contains(shells, name):
			shell = true
			continue
		case i == 0 && slices.Contains(shellCommands, word):
			c.warnAt(WarnShell, sec, e, place, word+" is no program, but a command of shells", way+"; directory= and environment= say where and with what a program runs")
		case i == 0 && regexp.MustCompile(assignment).MatchString(word):
			c.warnAt(WarnShell, sec, e, place, "a command does not begin with the setting of a variable, as in a shell", "write environment="+strings.SplitN(word, "=", 2)[0]+`="..." instead`)
		case slices.Contains(shellWords, word), strings.HasPrefix(word, ">/"), strings.HasPrefix(word, "2>/"), strings.HasPrefix(word, ">>/"):
			label := way
			if strings.Contains(word, ">") {
				label += "; stdout_logfile and redirect_stderr say where output goes"
			}
			if word == "&" {
				label = "remove it: graced starts programs in the background, and they have to stay in the foreground of theirs"
			}
			c.warnAt(WarnShell, sec, e, place, "the program gets "+word+" as an argument, as it stands there", label)
		case variable != nil && !shell:
			name := strings.Trim(word[variable[0]:variable[1]], "${}")
			c.warnAt(WarnShell, sec, e, c.span(e, at[0]+variable[0], variable[1]-variable[0]), "nothing expands $"+name+": the program gets it as it stands there", "write %(ENV_"+name+")s, or sh -c '...' around the whole command")
		case strings.HasPrefix(word, "~/") && !shell:
			c.warnAt(WarnShell, sec, e, place, "nothing expands ~ in a command", "write the whole path, or %(ENV_HOME)s"+word[1:])
		default:
			continue
		}
		return
	}
}

// rawWords returns where the words of a command stand, with their quotes.
func rawWords(s string) (words [][2]int) {
	quote, start := byte(0), -1
	for i := 0; i <= len(s); i++ {
		blank := i == len(s) || quote == 0 && strings.IndexByte(" \t\r\n", s[i]) >= 0
		switch {
		case blank && start >= 0:
			words, start = append(words, [2]int{start, i}), -1
		case blank:
		case start < 0:
			start = i
			fallthrough
		default:
			switch {
			case s[i] == '\\' && quote != '\'' && i+1 < len(s):
				i++
			case quote == 0 && (s[i] == '"' || s[i] == '\''):
				quote = s[i]
			case s[i] == quote:
				quote = 0
			}
		}
	}
	return words
}
