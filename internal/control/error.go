package control

import "strconv"

// Code is a fault number of Supervisor's control protocol (contract: rpc, "Dispatch and faults").
type Code int

// The faults.
const (
	UnknownMethod        Code = 1
	IncorrectParameters  Code = 2
	BadArguments         Code = 3
	SignatureUnsupported Code = 4
	ShutdownState        Code = 6
	BadName              Code = 10
	BadSignal            Code = 11
	NoFile               Code = 20
	NotExecutable        Code = 21
	Failed               Code = 30
	AbnormalTermination  Code = 40
	SpawnError           Code = 50
	AlreadyStarted       Code = 60
	NotRunning           Code = 70
	Success              Code = 80
	AlreadyAdded         Code = 90
	StillRunning         Code = 91
	CantReread           Code = 92
	NotInWhitelist       Code = 230
)

var codeNames = map[Code]string{
	UnknownMethod: "UNKNOWN_METHOD", IncorrectParameters: "INCORRECT_PARAMETERS", BadArguments: "BAD_ARGUMENTS",
	SignatureUnsupported: "SIGNATURE_UNSUPPORTED", ShutdownState: "SHUTDOWN_STATE", BadName: "BAD_NAME", BadSignal: "BAD_SIGNAL",
	NoFile: "NO_FILE", NotExecutable: "NOT_EXECUTABLE", Failed: "FAILED", AbnormalTermination: "ABNORMAL_TERMINATION",
	SpawnError: "SPAWN_ERROR", AlreadyStarted: "ALREADY_STARTED", NotRunning: "NOT_RUNNING", Success: "SUCCESS",
	AlreadyAdded: "ALREADY_ADDED", StillRunning: "STILL_RUNNING", CantReread: "CANT_REREAD",
}

// String returns the fault's name. A number without one is "UNKNOWN", as Supervisor prints it (quirk D20 keeps it for 230).
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return "UNKNOWN"
}

// Error is the only kind of error that crosses the control interface: a fault number and its detail.
type Error struct {
	Code Code
	Text string // the detail, often the name asked for; may be empty
	// Placed is, with CantReread, the detail in our own words, on one line that begins with "file:line: "; "" = Text says all.
	Placed string
	// Raw is set by a client that received a fault string of another form than Error gives: the string as it was.
	Raw string
}

// Error returns the fault string on the wire: "NO_FILE" or "NO_FILE: /x". BAD_NAME and BAD_SIGNAL always have
// a detail, what was given, be it empty.
func (e *Error) Error() string {
	if e.Raw != "" {
		return e.Raw
	}
	if e.Text == "" && e.Code != BadName && e.Code != BadSignal {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Text
}

// Fault makes an Error. There is no formatting variant: details are contract, built where they are decided.
func Fault(code Code, text string) *Error { return &Error{Code: code, Text: text} }

// GoString shows number and text, for test failures.
func (e *Error) GoString() string { return "Fault " + strconv.Itoa(int(e.Code)) + " " + e.Error() }
