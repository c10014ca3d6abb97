package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/shlex"
)

// The options about readiness and liveness, and about replacing one process after the other. Supervisor does not know them.

// health reads how the processes are watched, but for what they are asked: see checks.
func (p *programReader) health() (h process.Health) {
	how := func(key string, c process.Check) process.Check {
		c.Period = read(p.reader, key+"_period", c.Period, span)
		c.Timeout = read(p.reader, key+"_timeout", c.Timeout, span)
		c.Failures = read(p.reader, key+"_failures", c.Failures, repeats)
		return c
	}
	h.Ready = how("ready", process.DefaultReady)
	h.Ready.Successes = read(p.reader, "ready_successes", h.Ready.Successes, repeats)
	h.ReadyWait = read(p.reader, "ready_wait", process.DefaultReadyWait, span)
	h.Alive = how("alive", process.DefaultAlive)
	h.AliveAction = read(p.reader, "alive_action", process.AliveRestart, oneOf("alive_action", process.AliveRestart, process.AliveStop, process.AliveNone))
	return h
}

// checks reads what a process is asked. Where it is asked nothing, how that would be done is nothing either.
func (p *programReader) checks(h process.Health) process.Health {
	ask := func(key string, c process.Check) process.Check {
		text, e, ok := p.text(key)
		if !ok {
			return process.Check{}
		}
		kind, target, err := parseCheck(text)
		if err == nil && kind == process.CheckLog && key == "alive" {
			err = &valueError{"a line of output does not say that a process is alive", "write tcp://, http://, exec: or notify"}
		}
		if err != nil {
			p.fail(e.fail(p.sec, err))
		}
		if kind == process.CheckExec {
			p.checkCut(e)
		}
		if kind == process.CheckNone {
			return process.Check{}
		}
		c.Kind, c.Target = kind, target
		return c
	}
	if h.Ready = ask("ready", h.Ready); h.Ready.Kind == process.CheckNone {
		h.ReadyWait = 0
	}
	h.Alive = ask("alive", h.Alive)
	return h
}

// roll reads how processes are replaced.
func (p *programReader) roll() process.Roll {
	surge := read(p.reader, "roll_surge", process.Share{}, func(s string) (process.Share, error) {
		share, ok := process.ParseShare(s)
		if !ok {
			return share, &valueError{"invalid 'roll_surge' value " + repr(s), "write a number of processes, or a share such as 25%%"}
		}
		if share.N == 0 {
			share = process.Share{}
		}
		return share, nil
	})
	return process.Roll{
		Surge: surge,
		MaxUnavailable: read(p.reader, "roll_max_unavailable", process.Share{}, func(s string) (process.Share, error) {
			share, ok := process.ParseShare(s)
			switch {
			case ok && share.N == 0 && surge.N > 0:
				return process.None, nil
			case ok && share.N == 0:
				return share, &valueError{"invalid 'roll_max_unavailable' value " + repr(s) + ": nothing could be replaced", "write a number of processes from 1, or a share such as 25%%; or add roll_surge=1, so that another process takes the place of each"}
			case !ok:
				return share, &valueError{"invalid 'roll_max_unavailable' value " + repr(s), "write a number of processes from 1, or a share such as 25%%"}
			}
			return share, nil
		}),
		Canary:    read(p.reader, "roll_canary", 0, canary),
		Steady:    read(p.reader, "roll_steady", 0, duration),
		OnFailure: read(p.reader, "roll_on_failure", process.RollBack, oneOf("roll_on_failure", process.RollBack, process.RollPause, process.RollStop)),
	}
}

// canary reads how many are replaced first.
func canary(s string) (int, error) {
	n, err := ParseInt(s)
	if err == nil && n < 0 {
		err = &valueError{"invalid 'roll_canary' value " + repr(s), "write a number of processes, or 0 for none that goes first"}
	}
	return n, err
}

// refuseChecks refuses the checks of an event listener.
func (r *reader) refuseChecks() {
	for _, key := range []string{"ready", "alive"} {
		if e := r.sec.own[key]; e != nil && !e.inherited { // of [DEFAULT] others may make use
			r.refuse(ListenerCheck, key, fmt.Sprintf("[%s] section sets %s, but an event listener says READY by its protocol", r.sec.name, key), "remove "+key)
		}
	}
}

// repeats reads how many times in a row.
func repeats(s string) (int, error) {
	n, err := ParseInt(s)
	if err == nil && n < 1 {
		err = &valueError{"not a number of times: " + repr(s), "write 1 or more"}
	}
	return n, err
}

// oneOf returns a parser of an option that takes one of several words.
func oneOf[T fmt.Stringer](key string, values ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		words := make([]string, len(values))
		for i, v := range values {
			if words[i] = v.String(); words[i] == lower(strip(s)) {
				return v, nil
			}
		}
		last := len(words) - 1
		return values[0], &valueError{"invalid '" + key + "' value " + repr(s), "write " + strings.Join(words[:last], ", ") + " or " + words[last]}
	}
}

// parseCheck reads the value of ready or alive; "" is none.
func parseCheck(text string) (kind process.CheckKind, target string, err error) {
	const ways = "write tcp://host:port, http://host:port/path, exec:COMMAND, log:PATTERN or notify"
	s := strip(text)
	bad := func(why, hint string) (process.CheckKind, string, error) {
		return process.CheckNone, "", &valueError{why + ": " + repr(s), hint}
	}
	scheme, rest, colon := strings.Cut(s, ":")
	switch scheme = lower(scheme); {
	case s == "":
		return process.CheckNone, "", nil
	case scheme == "notify" && !colon:
		return process.CheckNotify, "", nil
	case !colon:
		return bad("not a check", ways)
	}
	switch scheme {
	case "tcp":
		address, ok := tcpAddress(rest)
		if !ok {
			return bad("not an address", "write tcp://host:port, or tcp:port for this machine, with a port from 1 to 65535")
		}
		return process.CheckTCP, address, nil
	case "http":
		if !httpURL(s) {
			return bad("not a URL that can be asked", "write http://host:port/path, with a port from 1 to 65535 and without a user's name")
		}
		return process.CheckHTTP, s, nil
	case "https":
		return bad("a check does not speak TLS", "ask http://, or have a program ask: exec:curl -fsk "+s)
	case "exec":
		command := strip(rest)
		if words, err := shlex.Split(command); err != nil || len(words) == 0 {
			return bad("not a command", "write exec: and words as in a shell, with quotes that close; there is no shell")
		}
		return process.CheckExec, command, nil
	case "log":
		if _, err := regexp.Compile(rest); err != nil || rest == "" {
			return bad("not a pattern", "write log: and a regular expression as in Go (RE2), with each percent sign twice")
		}
		return process.CheckLog, rest, nil
	}
	return bad("not a check", ways)
}

// tcpAddress reads what follows "tcp:": //host:port, or a port of this machine.
func tcpAddress(s string) (string, bool) {
	address, ok := strings.CutPrefix(s, "//")
	if !ok {
		address = "127.0.0.1:" + s
	}
	i := strings.LastIndexByte(address, ':')
	if i <= 0 || strings.ContainsFunc(address, isSpace) || strings.Contains(address[:i], ":") && !strings.HasPrefix(address, "[") {
		return "", false
	}
	_, err := parsePort(address[i+1:])
	return lower(address), err == nil
}

// httpURL reports whether a URL can be asked.
func httpURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || strings.ContainsFunc(s, isSpace) {
		return false
	}
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	_, err = parsePort(u.Port())
	return err == nil
}
