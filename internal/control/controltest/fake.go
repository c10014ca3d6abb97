// Package controltest fakes control.Service for the tests of its codecs. Only tests import it.
package controltest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/graced/graced/internal/control"
)

// Fake is a control.Service that records what it is asked and answers what the test says.
type Fake struct {
	Info   control.Daemon // what Daemon answers
	Answer any            // of the next call; nil = the zero value
	Err    error          // of the next call

	mu    sync.Mutex
	calls []string
}

var _ control.Service = (*Fake)(nil)

// Take returns the calls since the last Take, one per line.
func (f *Fake) Take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.calls, "\n")
	f.calls = nil
	return s
}

func record(f *Fake, method string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = fmt.Sprintf("%+v", a)
	}
	f.calls = append(f.calls, method+"("+strings.Join(words, ", ")+")")
}

func ask[T any](f *Fake, method string, args ...any) (T, error) {
	record(f, method, args...)
	v, _ := f.Answer.(T)
	return v, f.Err
}

// Daemon implements control.Service.
func (f *Fake) Daemon(context.Context) (control.Daemon, error) { return f.Info, nil }

// Process implements control.Service.
func (f *Fake) Process(_ context.Context, name string) (control.ProcessInfo, error) {
	return ask[control.ProcessInfo](f, "Process", name)
}

// Processes implements control.Service.
func (f *Fake) Processes(context.Context) ([]control.ProcessInfo, error) {
	return ask[[]control.ProcessInfo](f, "Processes")
}

// Configs implements control.Service.
func (f *Fake) Configs(context.Context) ([]control.ConfigInfo, error) {
	return ask[[]control.ConfigInfo](f, "Configs")
}

// Groups implements control.Service.
func (f *Fake) Groups(context.Context) ([]string, error) { return ask[[]string](f, "Groups") }

// Start implements control.Service.
func (f *Fake) Start(_ context.Context, t control.Target, wait bool) ([]control.Result, error) {
	return ask[[]control.Result](f, "Start", t, wait)
}

// Stop implements control.Service.
func (f *Fake) Stop(_ context.Context, t control.Target, wait bool) ([]control.Result, error) {
	return ask[[]control.Result](f, "Stop", t, wait)
}

// Signal implements control.Service.
func (f *Fake) Signal(_ context.Context, t control.Target, signal string) ([]control.Result, error) {
	return ask[[]control.Result](f, "Signal", t, signal)
}

// Refresh implements control.Service.
func (f *Fake) Refresh(_ context.Context, t control.Target) ([]control.Result, error) {
	return ask[[]control.Result](f, "Refresh", t)
}

// WriteStdin implements control.Service.
func (f *Fake) WriteStdin(_ context.Context, name string, data []byte) error {
	record(f, "WriteStdin", name, string(data))
	return f.Err
}

// Reread implements control.Service.
func (f *Fake) Reread(context.Context) (control.Reread, error) {
	return ask[control.Reread](f, "Reread")
}

// AddGroup implements control.Service.
func (f *Fake) AddGroup(_ context.Context, name string) error {
	record(f, "AddGroup", name)
	return f.Err
}

// RemoveGroup implements control.Service.
func (f *Fake) RemoveGroup(_ context.Context, name string) error {
	record(f, "RemoveGroup", name)
	return f.Err
}

// AddProgram implements control.Service.
func (f *Fake) AddProgram(_ context.Context, group, program string, options map[string]string) error {
	record(f, "AddProgram", group, program, options)
	return f.Err
}

// RemoveProcess implements control.Service.
func (f *Fake) RemoveProcess(_ context.Context, group, name string) error {
	record(f, "RemoveProcess", group, name)
	return f.Err
}

// UpdateNumprocs implements control.Service.
func (f *Fake) UpdateNumprocs(_ context.Context, group string) (control.Numprocs, error) {
	return ask[control.Numprocs](f, "UpdateNumprocs", group)
}

// GraceUpdate implements control.Service.
func (f *Fake) GraceUpdate(_ context.Context, name string) (control.GraceResult, error) {
	return ask[control.GraceResult](f, "GraceUpdate", name)
}

// ReadLog implements control.Service.
func (f *Fake) ReadLog(_ context.Context, log control.Log, offset, length int64) ([]byte, error) {
	return ask[[]byte](f, "ReadLog", log, offset, length)
}

// TailLog implements control.Service.
func (f *Fake) TailLog(_ context.Context, log control.Log, offset, length int64) (control.Tail, error) {
	return ask[control.Tail](f, "TailLog", log, offset, length)
}

// FollowLog implements control.Service.
func (f *Fake) FollowLog(_ context.Context, log control.Log) (control.Follower, error) {
	return ask[control.Follower](f, "FollowLog", log)
}

// ClearLog implements control.Service.
func (f *Fake) ClearLog(_ context.Context, log control.Log) error {
	record(f, "ClearLog", log)
	return f.Err
}

// ClearAllLogs implements control.Service.
func (f *Fake) ClearAllLogs(context.Context) ([]control.Result, error) {
	return ask[[]control.Result](f, "ClearAllLogs")
}

// Shutdown implements control.Service.
func (f *Fake) Shutdown(context.Context) error {
	record(f, "Shutdown")
	return f.Err
}

// Restart implements control.Service.
func (f *Fake) Restart(context.Context) error {
	record(f, "Restart")
	return f.Err
}

// SendRemote implements control.Service.
func (f *Fake) SendRemote(_ context.Context, kind, data string) error {
	record(f, "SendRemote", kind, data)
	return f.Err
}

// Log implements control.Service.
func (f *Fake) Log(_ context.Context, level int, message string) error {
	record(f, "Log", level, message)
	return nil
}

// Plan implements control.Service.
func (f *Fake) Plan(_ context.Context, req control.PlanRequest) (control.Plan, error) {
	return ask[control.Plan](f, "Plan", req)
}

// Findings implements control.Service.
func (f *Fake) Findings(_ context.Context, file string) (control.Findings, error) {
	return ask[control.Findings](f, "Findings", file)
}

// Preview implements control.Service.
func (f *Fake) Preview(_ context.Context, req control.PreviewRequest) (control.Preview, error) {
	return ask[control.Preview](f, "Preview", req)
}

// Update implements control.Service.
func (f *Fake) Update(_ context.Context, req control.UpdateRequest) (control.Operation, error) {
	return ask[control.Operation](f, "Update", req)
}

// Scale implements control.Service.
func (f *Fake) Scale(_ context.Context, req control.ScaleRequest) (control.Scaling, error) {
	return ask[control.Scaling](f, "Scale", req)
}

// Act implements control.Service.
func (f *Fake) Act(_ context.Context, req control.ActRequest) (control.Operation, error) {
	return ask[control.Operation](f, "Act", req)
}

// Operations implements control.Service.
func (f *Fake) Operations(context.Context) ([]control.Operation, error) {
	return ask[[]control.Operation](f, "Operations")
}

// Operation implements control.Service.
func (f *Fake) Operation(_ context.Context, id string, after int) (control.Operation, error) {
	return ask[control.Operation](f, "Operation", id, after)
}

// Mark implements control.Service.
func (f *Fake) Mark(_ context.Context, req control.MarkRequest) (control.Marking, error) {
	return ask[control.Marking](f, "Mark", req)
}

// History implements control.Service.
func (f *Fake) History(context.Context) ([]control.Generation, error) {
	return ask[[]control.Generation](f, "History")
}

// HistoryDiff implements control.Service.
func (f *Fake) HistoryDiff(_ context.Context, from, to int) ([]control.GenerationChange, error) {
	return ask[[]control.GenerationChange](f, "HistoryDiff", from, to)
}

// Standing implements control.Service.
func (f *Fake) Standing(context.Context) (control.Standing, error) {
	return ask[control.Standing](f, "Standing")
}

// Doctor implements control.Service.
func (f *Fake) Doctor(context.Context) (control.Doctor, error) {
	return ask[control.Doctor](f, "Doctor")
}

// Why implements control.Service.
func (f *Fake) Why(_ context.Context, name string) (control.Why, error) {
	return ask[control.Why](f, "Why", name)
}

// Upgrade implements control.Service.
func (f *Fake) Upgrade(_ context.Context, binary string) error {
	_, err := ask[struct{}](f, "Upgrade", binary)
	return err
}

// CancelOperation implements control.Service.
func (f *Fake) CancelOperation(_ context.Context, id string) error {
	_, err := ask[struct{}](f, "CancelOperation", id)
	return err
}

// PauseOperation implements control.Service.
func (f *Fake) PauseOperation(_ context.Context, id string) error {
	_, err := ask[struct{}](f, "PauseOperation", id)
	return err
}

// ResumeOperation implements control.Service.
func (f *Fake) ResumeOperation(_ context.Context, id string) error {
	_, err := ask[struct{}](f, "ResumeOperation", id)
	return err
}
