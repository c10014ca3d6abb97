package ctl

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/shlex"
)

// Exit codes of gracectl's own verbs; docs/reference/output.md lists them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitStopped     = 3  // status --exit-code: something is not running
	exitNoDaemon    = 4  // nobody answers, or we may not ask
	exitGate        = 10 // an operation was rolled back, or is paused because a process has failed
	exitGivenUp     = 12
	exitInterrupted = 130
)

// call is one command of gracectl: a verb with its words and options.
type call struct {
	verb     string
	words    []string // without the options
	plain    bool     // -o plain: the texts of supervisorctl
	parallel int      // how many processes at once; 0 = as the verb does by itself
	timeout  time.Duration
	states   []process.State // only processes in one of these; nil = all
	exitCode bool            // status: exit 3 when something does not run; plan: exit 2 when there is something to do
	file     string          // plan: another main file
	since    int             // plan: compare this generation in place of what runs
	diff     bool            // plan: as a diff of settings
	watch    bool            // plan: again whenever it changes
	plan     string          // update: only this one
	dryRun   bool            // show what would be done
	yes      bool            // update, scale: don't ask
	victim   string          // scale: who leaves first
	lazy     bool            // scale: surplus leaves when it ends
	write    bool            // scale: into the file
	force    bool            // scale: also where its mode lets nobody write
	note     string          // hold, disable, enable: why
	now      bool            // stop, restart: do not wait
	all      bool            // ops: also those of earlier daemons
	rolling  bool            // restart: one after the other
	ready    bool            // wait: until processes are ready

	passed []passedOver // undo: generations that it does not go back to

	roll *control.RollRequest // how processes are to be replaced; nil = as their options say

	*format.Printer
}

// answering is what a verb of gracectl does. The answer is printed and may be there beside an error, as far as the verb came; an error that
// is no *format.Problem is made one by problem.
type answering func(s *Session, ctx context.Context, server Proxy, c *call) (format.Answer, error)

// answered lists the verbs that answer in every form of the option -o. All others print for themselves.
var answered = map[string]answering{
	"status": (*Session).answerStatus, "pid": (*Session).answerPIDs, "avail": (*Session).answerAvailable, "version": (*Session).answerVersion,
	"start": (*Session).answerStart, "stop": (*Session).answerStop, "restart": (*Session).answerRestart, "signal": (*Session).answerSignal, "clear": (*Session).answerClear,
	"refresh": (*Session).answerRefresh,
	"tail":    (*Session).answerTail, "maintail": (*Session).answerMainTail,
	"reread": (*Session).answerReread, "add": (*Session).answerAdd, "remove": (*Session).answerRemove, "update": (*Session).answerUpdate, "grace_update": (*Session).answerGrace,
	"plan": (*Session).answerPlan, "scale": (*Session).answerScale, "why": (*Session).answerWhy, "doctor": (*Session).answerDoctor, "upgrade": (*Session).answerUpgrade,
	"hold": (*Session).answerMark, "disable": (*Session).answerMark, "enable": (*Session).answerMark, "history": (*Session).answerHistory,
	"ops": (*Session).answerOperations, "attach": (*Session).answerAttach, "wait": (*Session).answerWait, "cancel": (*Session).answerCancel,
	"pause": (*Session).answerPause, "resume": (*Session).answerPause, "undo": (*Session).answerUndo, "rollback": (*Session).answerRollback,
	"reload": (*Session).answerReload, "shutdown": (*Session).answerShutdown,
}

// failing is an answer that sets the exit status by itself.
type failing interface {
	// exit returns the exit status of the program; 0 = all is well.
	exit(c *call) int
}

// losing is an answer to a change that the next daemon may not know of.
type losing interface {
	// lost returns why it could not be kept on disk; "" = it is.
	lost() string
}

// ownLine carries out a line of gracectl's shell. Words are quoted as in a shell.
func (s *Session) ownLine(ctx context.Context, line string) error {
	verb, arg, clean := parseLine(line)
	if clean == "" {
		return nil
	}
	if answered[verb] == nil {
		if s.helped(verb, fields(arg)) {
			return nil
		}
		return s.execute(ctx, line)
	}
	words, err := shlex.Split(arg)
	if err != nil {
		words = fields(arg)
	}
	return s.perform(ctx, verb, words)
}

// ownWords carries out the words of the command line.
func (s *Session) ownWords(ctx context.Context, args []string) error {
	if len(args) == 1 || answered[args[0]] == nil { // a verb and its words may be one word of the command line
		return s.ownLine(ctx, joinArgs(args))
	}
	return s.perform(ctx, args[0], args[1:])
}

// perform carries out one verb of gracectl that answers.
func (s *Session) perform(ctx context.Context, verb string, words []string) error {
	defer s.hangUp()
	s.cached = nil
	if s.helped(verb, words) {
		return nil
	}
	c, err := s.parseCall(verb, words)
	if err != nil {
		c.Fail(s.problem(err, c))
		s.status = exitUsage
		return nil
	}
	if c.plain {
		before := s.Plain
		s.Plain = true
		defer func() { s.Plain = before }()
		return s.execute(ctx, joinArgs(append([]string{verb}, c.words...)))
	}
	for {
		answer, err := s.answer(ctx, c)
		if httpStatus(err) == statusUnauthorized && s.Interactive && s.Terminal {
			s.output("Server requires authentication")
			if err := s.login(ctx); err == nil {
				continue
			}
		}
		if answer != nil {
			c.Finish(answer)
			if l, ok := answer.(losing); ok && l.lost() != "" {
				c.Warn("applied, but not kept: " + l.lost())
			}
			if f, ok := answer.(failing); ok {
				if code := f.exit(c); code != 0 {
					s.status = code
				}
			}
		}
		if err != nil && !errors.Is(err, errExplained) {
			p := s.problem(err, c)
			s.status = p.Exit
			if p.Exit == 0 {
				s.status = exitFailed
			}
			s.caught = s.caught || p.Exit == exitInterrupted // the shell goes on
			c.Fail(p)
		}
		return nil
	}
}

// answer runs the verb within its time limit and under Ctrl-C.
func (s *Session) answer(ctx context.Context, c *call) (format.Answer, error) {
	ctx, release := s.Interruptible(ctx)
	defer release()
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	server, err := s.server()
	if err != nil {
		return nil, err
	}
	answer, err := answered[c.verb](s, ctx, server, c)
	var known *format.Problem
	if err != nil && ctx.Err() != nil && !errors.Is(err, errExplained) && !errors.As(err, &known) {
		err = ctx.Err() // whatever the broken connection said
	}
	if fault(err) == control.CantReread {
		err = s.brokenFiles(ctx, server, c, err)
	}
	return answer, err
}

// parseCall reads options before and behind the words of a verb. The call that comes with an error has the form in which to report it, which an option
// behind the one that is wrong may say.
func (s *Session) parseCall(verb string, words []string) (*call, error) {
	c := &call{verb: verb, plain: s.Plain, parallel: s.Parallel, timeout: s.Timeout, Printer: s.printer()}
	var short string
	var long []string
	for _, o := range optionsOf(verb) {
		if o.short != "" {
			short += o.short + ":"[:min(1, len(o.arg))]
		}
		long = append(long, o.long+"="[:min(1, len(o.arg))])
	}
	var wrong error // the first of them
	for len(words) > 0 {
		word := words[0]
		switch {
		case word == "--":
			c.words = append(c.words, words[1:]...)
			return c, wrong
		case !strings.HasPrefix(word, "-") || word == "-" || readsLog(verb) && isTailOption(word):
			c.words = append(c.words, word)
			words = words[1:]
			continue
		}
		// One word, and the next one only where the option takes that as its value: it may be an option of its own.
		n := 1
		opts, rest, err := getopt(words[:n], short, long)
		if err != nil && len(words) > 1 && words[1] != "--" {
			n = 2
			opts, rest, err = getopt(words[:n], short, long)
		}
		if err != nil {
			n, rest, err = 1, nil, c.misused(err.Error())
		}
		words = words[n-len(rest):]
		for _, o := range opts {
			err = errors.Join(err, c.set(o))
		}
		if wrong == nil {
			wrong = err
		}
	}
	return c, wrong
}

// printer writes in the session's form.
func (s *Session) printer() *format.Printer {
	return &format.Printer{Form: s.Form, Style: format.Style{Colour: s.Colour}, Out: outlet{s, s.Out}, Err: outlet{s, s.Err}}
}

// verbsLike lists the verbs that are nearly word.
func (s *Session) verbsLike(word string) []string {
	var out []string
	for _, v := range s.verbs() {
		if distance(word, v) <= max(1, len(word)/3) || word != "" && strings.HasPrefix(v, word) {
			out = append(out, v)
		}
	}
	return out
}

func readsLog(verb string) bool { return verb == "tail" || verb == "maintail" }

// isTailOption reports whether word is -f or a number of bytes.
func isTailOption(word string) bool {
	if word == "-f" {
		return true
	}
	_, ok := parseInt(word[1:])
	return ok
}

// set takes one option.
func (c *call) set(o option) error {
	switch o.name {
	case "-o", "--output":
		form, plain, ok := parseForm(o.arg)
		if !ok {
			return c.misused("invalid value for " + o.name + " " + quote(o.arg) + ": the forms are " + formNames())
		}
		c.Form, c.plain = form, plain
	case "--timeout":
		d, ok := parseTimeout(o.arg)
		if !ok {
			return c.misused("invalid value for --timeout " + quote(o.arg) + ": it takes seconds, or a duration such as 1m30s")
		}
		c.timeout = d
	case "--parallel":
		n, ok := parseParallel(o.arg)
		if !ok {
			return c.misused("invalid value for --parallel " + quote(o.arg) + ": it takes a number from 1 on")
		}
		c.parallel = n
	case "--state":
		for _, name := range strings.Split(o.arg, ",") {
			i := slices.IndexFunc(process.States, func(st process.State) bool { return strings.EqualFold(st.String(), name) })
			if i < 0 {
				var names []string
				for _, st := range process.States {
					names = append(names, st.String())
				}
				return c.misused("no state " + quote(name) + ": the states are " + strings.Join(names, ", "))
			}
			c.states = append(c.states, process.States[i])
		}
	case "--exit-code":
		c.exitCode = true
	case "-f", "--file":
		c.file = o.arg
	case "--since":
		if c.since = parseRev(o.arg); c.since == 0 {
			return c.misused("--since takes a generation of history, such as r3, and got " + quote(o.arg))
		}
	case "--diff":
		c.diff = true
	case "--watch":
		c.watch = true
	case "--plan":
		if c.plan = o.arg; o.arg == "" {
			return c.misused("--plan needs the identifier of a plan")
		}
	case "--dry-run":
		c.dryRun = true
	case "-y", "--yes":
		c.yes = true
	case "--victim":
		c.victim = o.arg
	case "--lazy":
		c.lazy = true
	case "--note":
		c.note = o.arg
	case "--force":
		c.force = true
	case "--all":
		c.all = true
	case "--now":
		c.now = true
	case "--write":
		c.write = true
	case "--ready":
		c.ready = true
	case "--rolling":
		c.rolling = true
	case "--max-unavailable", "--canary", "--steady", "--on-failure":
		return c.setRoll(o)
	}
	return nil
}

// parseForm reads a value of -o.
func parseForm(s string) (form format.Form, plain, ok bool) {
	return format.Form(s), s == plainForm, s == plainForm || slices.Contains(format.Forms, format.Form(s))
}

const plainForm = "plain"

func formNames() string {
	var names []string
	for _, f := range format.Forms {
		names = append(names, string(f))
	}
	return strings.Join(append(names, plainForm), ", ")
}

func parseTimeout(s string) (time.Duration, bool) {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		s = strconv.FormatFloat(n, 'f', -1, 64) + "s"
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d > 0
}

func parseParallel(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0
}

// misused is the problem of a verb that was called in a wrong way.
func (c *call) misused(detail string) *format.Problem {
	return &format.Problem{Code: "E312", Title: "wrong usage", Detail: c.verb + ": " + detail, Exit: exitUsage}
}

// noWords refuses words behind a verb that takes none.
func (c *call) noWords() error {
	if len(c.words) > 0 {
		return c.misused("takes no arguments, and got " + quote(c.words[0]))
	}
	return nil
}

// outlet is a writer of the session. Texts for people are escaped for terminals that show ASCII alone; documents are not.
type outlet struct {
	s *Session
	w io.Writer
}

func (o outlet) Write(b []byte) (int, error) {
	o.s.write(o.w, string(b))
	return len(b), nil
}
