package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/process"
)

// The value types of options (contract: config, "Value types"). Error texts are visible on the wire.

// ParseBool reads yes, true, on, 1, no, false, off or 0, in any case.
func ParseBool(s string) (bool, error) {
	switch lower(s) {
	case "yes", "true", "on", "1":
		return true, nil
	case "no", "false", "off", "0":
		return false, nil
	}
	return false, &valueError{"not a valid boolean value: " + repr(s), "write true or false"}
}

// ParseInt reads a whole number as Python's int does. Numbers beyond 64 bits are refused.
func ParseInt(s string) (int, error) {
	n, err := parseInt(s, 10)
	return int(n), err
}

// ParseByteSize reads a number of bytes, with an optional suffix KB, MB or GB (powers of 1024).
func ParseByteSize(s string) (int64, error) {
	v := lower(s)
	factor := int64(1)
	for _, unit := range []struct {
		suffix string
		factor int64
	}{{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}} {
		if number, ok := strings.CutSuffix(v, unit.suffix); ok {
			v, factor = number, unit.factor
			break
		}
	}
	n, err := parseInt(v, 10)
	if err != nil {
		return 0, &valueError{err.Error(), "give a whole number of bytes, or one followed by KB, MB or GB"}
	}
	if n > (1<<63-1)/factor || n < -(1<<63-1)/factor {
		return 0, &valueError{"number out of range: " + repr(s), "give a smaller number"}
	}
	return n * factor, nil
}

// ParseOctal reads an octal number such as 022.
func ParseOctal(s string) (int, error) {
	n, err := parseInt(s, 8)
	if err != nil {
		return 0, &valueError{s + " can not be converted to an octal type", "write an octal number such as 022"}
	}
	return int(n), nil
}

// ParseExitCodes reads a comma list of numbers from 0 to 255; "" is the empty list.
func ParseExitCodes(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	var codes []int
	for _, word := range strings.Split(s, ",") {
		n, err := parseInt(word, 10)
		if err != nil || n < 0 || n > 255 {
			return nil, &valueError{"not a valid list of exit codes: " + repr(s), "write numbers from 0 to 255 with commas between, such as 0,2"}
		}
		codes = append(codes, int(n))
	}
	return codes, nil
}

// ParseAutorestart reads a boolean word or "unexpected".
func ParseAutorestart(s string) (process.Autorestart, error) {
	if lower(s) == "unexpected" {
		return process.RestartUnexpected, nil
	}
	b, err := ParseBool(s)
	switch {
	case err != nil:
		return 0, &valueError{"invalid 'autorestart' value " + repr(lower(s)), "write true, false or unexpected"}
	case b:
		return process.RestartAlways, nil
	}
	return process.RestartNever, nil
}

// LogLevel is a level of the activity log, with Supervisor's numbers.
type LogLevel int

// The levels of the activity log.
const (
	LogBlather  LogLevel = 3
	LogTrace    LogLevel = 5
	LogDebug    LogLevel = 10
	LogInfo     LogLevel = 20
	LogWarn     LogLevel = 30
	LogError    LogLevel = 40
	LogCritical LogLevel = 50
)

var logLevels = []struct {
	level LogLevel
	name  string
}{
	{LogCritical, "critical"}, {LogError, "error"}, {LogWarn, "warn"}, {LogInfo, "info"}, {LogDebug, "debug"}, {LogTrace, "trace"},
	{LogBlather, "blather"},
}

// String returns the level as a configuration file spells it.
func (l LogLevel) String() string {
	for _, row := range logLevels {
		if row.level == l {
			return row.name
		}
	}
	return strconv.Itoa(int(l))
}

// ParseLogLevel reads the name of a level, in any case.
func ParseLogLevel(s string) (LogLevel, error) {
	for _, row := range logLevels {
		if row.name == lower(s) {
			return row.level, nil
		}
	}
	return 0, &valueError{"bad logging level name " + repr(s), "write critical, error, warn, info, debug, trace or blather"}
}

// parseList reads a comma list; "" is the empty list, and a comma too many makes an empty item.
func parseList(s string) []string {
	if s == "" {
		return nil
	}
	items := strings.Split(s, ",")
	for i := range items {
		items[i] = strip(items[i])
	}
	return items
}

// namesOf is parseList for an option that Supervisor does not know: a comma too many is refused. what is called so.
func namesOf(key, what, s string) ([]string, error) {
	items := parseList(s)
	if slices.Contains(items, "") {
		return nil, &valueError{"an empty " + what + " in the list of " + key, "remove the comma too many"}
	}
	return items, nil
}

// parseName checks the name of a program, group or process (contract: config, "Value types", name).
func parseName(s string) (string, error) {
	name := strip(s)
	for _, c := range []string{" ", ":", "/"} {
		if strings.Contains(name, c) {
			return "", &valueError{fmt.Sprintf("Invalid name: %s because of character: '%s'", repr(s), c), "use letters, digits, - and _ in names"}
		}
	}
	return name, nil
}

// parseLogTarget reads a child's log file: NONE, AUTO, a path, or the old "syslog" (contract: config, "Value types", log file).
func (m Machine) parseLogTarget(s string) (target process.LogTarget, syslog bool, err error) {
	switch lower(s) {
	case "none", "off", "":
		return process.LogTarget{Kind: process.LogNone}, false, nil
	case "auto":
		return process.LogTarget{Kind: process.LogAuto}, false, nil
	case "syslog":
		return process.LogTarget{Kind: process.LogNone}, true, nil
	}
	path, err := m.existingDirpath(s)
	return process.LogTarget{Kind: process.LogPath, Path: path}, false, err
}

// parseAddress reads the port of an inet server: port, host:port, *:port or :port. Host "" means every IPv4 address.
func parseAddress(s string) (host string, port int, err error) {
	const hint = "write port or host:port, with a port from 1 to 65535"
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		port, err = parsePort(s)
		if err != nil {
			return "", 0, &valueError{"not a valid port number: " + repr(s) + " ", hint}
		}
		return "", port, nil
	}
	if s[i+1:] == "" {
		return "", 0, &valueError{"no port number specified in ''", hint}
	}
	if port, err = parsePort(s[i+1:]); err != nil {
		return "", 0, &valueError{err.Error(), hint}
	}
	if host = lower(s[:i]); host == "*" {
		host = ""
	}
	return host, port, nil
}

func parsePort(s string) (int, error) {
	text, err := intText(s, 10)
	if err != nil {
		return 0, err
	}
	n, _ := strconv.Atoi(text) // of one that is too large for that, the nearest
	switch {
	case n < 1:
		return 0, fmt.Errorf("%s is below lower bound (1)", text)
	case n > 0xffff:
		return 0, fmt.Errorf("%s is above upper bound (65535)", text)
	}
	return n, nil
}

// parseCgroupUse reads the option cgroup of a program.
func parseCgroupUse(s string) (process.CgroupUse, error) {
	for _, use := range []process.CgroupUse{process.CgroupAuto, process.CgroupOn, process.CgroupOff} {
		if lower(s) == use.String() {
			return use, nil
		}
	}
	return 0, &valueError{"invalid 'cgroup' value " + repr(s), "write auto, on or off"}
}

// parseCPUs reads a number of processors, with up to three decimals, as thousandths. The kernel takes no less than a hundredth.
func parseCPUs(s string) (int, error) {
	n, ok := parseThousandths(s, 0, 10_000)
	if !ok || 0 < n && n < 10 {
		return 0, &valueError{"invalid 'cpu_max' value " + repr(s), "write a number of processors, such as 0.5 or 2; 0 is no limit"}
	}
	return n, nil
}

// parseThousandths reads a number with up to three decimals, from least to most.
func parseThousandths(s string, least, most float64) (n int, ok bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= least && f <= most) { // NaN is neither
		return 0, false
	}
	whole := math.Round(f * 1000)
	return int(whole), math.Abs(f*1000-whole) <= 1e-6
}

// notNegative reads a limit.
func notNegative[T int | int64](key, s string, parse func(string) (T, error)) (T, error) {
	n, err := parse(s)
	if err == nil && n < 0 {
		return 0, &valueError{"invalid '" + key + "' value " + repr(s), "0 is no limit"}
	}
	return n, err
}
