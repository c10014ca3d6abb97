package event

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/graced/graced/internal/pytext"
)

// Process names the process that an event is about.
type Process struct{ Group, Name string }

// state begins the payload of a PROCESS_STATE event.
func (p Process) state(from string) string {
	return "processname:" + p.Name + " groupname:" + p.Group + " from_state:" + from
}

// StatePayload is what RUNNING, STOPPING and STOPPED events say. STOPPED carries the pid that the process had, 0 for one in BACKOFF.
func StatePayload(p Process, from string, pid int) string {
	return p.state(from) + " pid:" + strconv.Itoa(pid)
}

// TriesPayload is what STARTING and BACKOFF events say: tries are the failed starts so far.
func TriesPayload(p Process, from string, tries int) string {
	return p.state(from) + " tries:" + strconv.Itoa(tries)
}

// ExitedPayload is what EXITED events say.
func ExitedPayload(p Process, from string, expected bool, pid int) string {
	verdict := " expected:0"
	if expected {
		verdict = " expected:1"
	}
	return p.state(from) + verdict + " pid:" + strconv.Itoa(pid)
}

// BarePayload is what FATAL and UNKNOWN events say.
func BarePayload(p Process, from string) string { return p.state(from) }

// LogPayload is what PROCESS_LOG events say. Channel is "stdout" or "stderr".
func LogPayload(p Process, pid int, channel string, data []byte) string {
	return "processname:" + p.Name + " groupname:" + p.Group + " pid:" + strconv.Itoa(pid) + " channel:" + channel + "\n" + Text(data)
}

// CommunicationPayload is what PROCESS_COMMUNICATION events say.
func CommunicationPayload(p Process, pid int, data []byte) string {
	return "processname:" + p.Name + " groupname:" + p.Group + " pid:" + strconv.Itoa(pid) + "\n" + Text(data)
}

// RemotePayload is what REMOTE_COMMUNICATION events say.
func RemotePayload(kind, data string) string { return "type:" + kind + "\n" + data }

// GroupPayload is what PROCESS_GROUP events say.
func GroupPayload(group string) string { return "groupname:" + group + "\n" }

// TickPayload is what TICK events say: the beginning of the time slice, in seconds since the epoch.
func TickPayload(slice int64) string { return "when:" + strconv.FormatInt(slice, 10) }

// TickTypes are the tick events, each with its period.
var TickTypes = []struct {
	Type   Type
	Period time.Duration
}{{Tick5, 5 * time.Second}, {Tick60, time.Minute}, {Tick3600, time.Hour}}

// Text returns data as the text of a payload. What is not UTF-8 is shown as Python shows bytes.
func Text(data []byte) string {
	if utf8.Valid(data) {
		return string(data)
	}
	return "Undecodable: " + pytext.BytesRepr(data)
}

// Header is the first line of what a listener gets, beside the payload itself.
type Header struct {
	Server     string // the daemon's identifier
	Serial     uint64 // counts the events that any pool took
	Pool       string // the listener's group
	PoolSerial uint64 // counts the events that this pool took
	Type       Type
	Bytes      bool // len counts bytes instead of characters
}

// Envelope returns the message that carries an event to a listener. compat: len counts the characters of the payload, not its bytes (quirk
// F6): listeners that read text, as those written with Supervisor's childutils do, depend on it.
func (h Header) Envelope(payload string) []byte {
	n := len(payload)
	if !h.Bytes {
		n = utf8.RuneCountInString(payload)
	}
	b := make([]byte, 0, len(payload)+128)
	b = append(b, "ver:3.0 server:"...)
	b = append(b, h.Server...)
	b = append(b, " serial:"...)
	b = strconv.AppendUint(b, h.Serial, 10)
	b = append(b, " pool:"...)
	b = append(b, h.Pool...)
	b = append(b, " poolserial:"...)
	b = strconv.AppendUint(b, h.PoolSerial, 10)
	b = append(b, " eventname:"...)
	b = append(b, h.Type.String()...)
	b = append(b, " len:"...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, '\n')
	return append(b, payload...)
}

// lastSerial is the greatest serial; zero follows it.
const lastSerial = 1<<63 - 1

// Next returns the serial after s.
func Next(s uint64) uint64 {
	if s >= lastSerial {
		return 0
	}
	return s + 1
}
