package ctl

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// CompleteVerb is the hidden verb that the shells' completion calls, with the words of the line up to the cursor.
const CompleteVerb = "__complete"

// FileCandidates stands in place of candidates where the shell is to offer files.
const FileCandidates = ":files"

// namesWait is how long a daemon gets to name its processes while somebody waits behind a Tab.
const namesWait = 150 * time.Millisecond

// CompleteWords returns what the last of the words can become. Names are those of the daemon, or of fromFile where it does not answer in time.
func (s *Session) CompleteWords(words []string, fromFile func() []control.ProcessInfo) []string {
	return s.candidates(words, func() []control.ProcessInfo {
		defer s.hangUp()
		ctx, cancel := context.WithTimeout(context.Background(), namesWait)
		defer cancel()
		if server, err := s.server(); err == nil {
			if all, err := server.Processes(ctx); err == nil {
				return all
			}
		}
		return fromFile()
	})
}

// candidates completes the last of the words; names are asked for where they are needed.
func (s *Session) candidates(words []string, names func() []control.ProcessInfo) []string {
	if len(words) == 0 {
		return nil
	}
	text := words[len(words)-1]
	operands, waiting := splitOptions(words[:len(words)-1], slices.Concat(generalOptions, verbOptions[:3]), true)
	verb := ""
	options := slices.Concat(generalOptions, verbOptions[:3])
	if len(operands) > 0 {
		verb, options = operands[0], optionsOf(operands[0])
		operands, waiting = splitOptions(operands[1:], options, false)
	}
	head := ""
	if name, value, ok := strings.Cut(text, "="); ok && strings.HasPrefix(name, "--") {
		i := slices.IndexFunc(options, func(o optionInfo) bool { return "--"+o.long == name })
		if i < 0 {
			return nil
		}
		head, text, waiting = name+"=", value, options[i].long
	}
	var offered []string
	switch {
	case waiting != "":
		offered = optionValues(waiting, text)
	case strings.HasPrefix(text, "-"):
		for _, o := range options {
			offered = append(offered, "--"+o.long)
		}
		if readsLog(verb) {
			offered = append(offered, "-f")
		}
	case verb == "":
		offered = s.verbs()
	default:
		offered = s.operandValues(verb, operands, text, names)
	}
	if slices.Equal(offered, []string{FileCandidates}) {
		return offered
	}
	var out []string
	for _, w := range offered {
		if strings.HasPrefix(w, text) && !slices.Contains(out, head+w) {
			out = append(out, head+w)
		}
	}
	return out
}

// splitOptions takes options out of words. waiting is the option whose value comes next. With first the words behind the first operand stay
// as they are: they are a verb's.
func splitOptions(words []string, options []optionInfo, first bool) (operands []string, waiting string) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w, "-") || w == "-" {
			if first {
				return words[i:], ""
			}
			operands = append(operands, w)
			continue
		}
		for _, o := range options {
			if o.arg != "" && (w == "--"+o.long || o.short != "" && w == "-"+o.short) {
				if i++; i == len(words) {
					return operands, o.long
				}
			}
		}
	}
	return operands, ""
}

// optionValues are the values of an option that can be told.
func optionValues(long, text string) []string {
	switch long {
	case "output":
		return strings.Split(formNames(), ", ")
	case "configuration", "history-file", "file":
		return []string{FileCandidates}
	case "on-failure":
		return []string{"pause", "rollback", "stop"}
	case "victim":
		return []string{"highest", "newest", "oldest"}
	case "state": // a list: the last of it is completed
		head := text[:strings.LastIndexByte(text, ',')+1]
		var out []string
		for _, st := range process.States {
			out = append(out, head+st.String())
		}
		return out
	}
	return nil
}

// operandValues are the words that a verb takes.
func (s *Session) operandValues(verb string, before []string, text string, names func() []control.ProcessInfo) []string {
	processes := func() []string { return processNames(names(), strings.Contains(text, ":")) }
	switch verb {
	case "help":
		return s.verbs()
	case "completion":
		return shells
	case "add", "remove", "update", "plan", grace.name:
		return groupNames(names())
	case "scale":
		var out []string
		for _, g := range groupNames(names()) {
			out = append(out, g+"=")
		}
		return out
	case "signal":
		if len(before) == 0 {
			return []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP"}
		}
		return append(processes(), "all")
	case "tail":
		if len(before) > 0 {
			return append(processes(), "stdout", "stderr")
		}
		return processes()
	case "clear", "pid", "refresh", "restart", "start", "status", "stop", "wait":
		return append(processes(), "all")
	case "fg", "why", "hold", "disable", "enable":
		return processes()
	}
	return nil
}

// shells are those that have a script.
var shells = []string{"bash", "fish", "zsh"}

// printCompletion prints the script that makes a shell complete gracectl's words.
func (s *Session) printCompletion(_ context.Context, arg string) error {
	script, ok := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[arg]
	if !ok {
		c := &call{verb: "completion", Printer: s.printer()}
		c.Fail(c.misused("takes the name of a shell: " + strings.Join(shells, ", ")))
		s.status = exitUsage
		return nil
	}
	s.write(s.Out, script)
	return nil
}

// The scripts hand the words up to the cursor to gracectl itself, so that they know no verb or option.
const (
	// bash replaces only what stands behind the last ":" or "=" of a word, if it breaks words there; so the candidates lose what is before.
	bashScript = `# Completion of gracectl for bash:   source <(gracectl completion bash)
_gracectl() {
	local line=${COMP_LINE:0:COMP_POINT} breaks= i
	local -a words found
	read -ra words <<<"$line"
	[[ $line == *[[:blank:]] ]] && words+=("")
	local word=${words[${#words[@]} - 1]}
	mapfile -t found < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
	if [[ ${found[0]-} == :files ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
	fi
	for i in : =; do [[ $COMP_WORDBREAKS == *$i* ]] && breaks+=$i; done
	local done=
	[[ -n $breaks && $word == *[$breaks]* ]] && done=${word%"${word##*[$breaks]}"}
	COMPREPLY=("${found[@]#"$done"}")
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
	return 0
}
complete -F _gracectl gracectl
`
	zshScript = `#compdef gracectl
# Completion of gracectl for zsh:   source <(gracectl completion zsh), behind compinit
_gracectl() {
	local -a found
	found=("${(@f)$(${words[1]} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ ${found[1]} == :files ]]; then
		_files
	elif [[ -n ${found[1]} ]]; then
		if [[ ${#found} == 1 && ${found[1]} == *= ]]; then compadd -S '' -- $found; else compadd -- $found; fi
	fi
}
if [[ ${funcstack[1]} == _gracectl ]]; then _gracectl "$@"; else compdef _gracectl gracectl; fi
`
	fishScript = `# Completion of gracectl for fish:   gracectl completion fish | source
function __gracectl_complete
	set -l words (commandline -opc)
	set -l found ($words[1] __complete $words[2..-1] (commandline -ct | string collect --allow-empty) 2>/dev/null)
	if test "$found[1]" = :files
		__fish_complete_path (commandline -ct)
	else if test -n "$found"
		printf '%s\n' $found
	end
end
complete -c gracectl -f -a '(__gracectl_complete)'
`
)
