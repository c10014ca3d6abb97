package client

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/graced/graced/internal/control"
)

// fake is a control.Service that records what it is asked and answers what the test says.
type fake struct {
	daemon control.Daemon
	answer any   // of the next call; nil = the zero value
	err    error // of the next call

	mu    sync.Mutex
	calls []string
}

var _ control.Service = (*fake)(nil)

// take returns the calls since the last take, one per line.
func (f *fake) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.calls, "\n")
	f.calls = nil
	return s
}

func record(f *fake, method string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = fmt.Sprintf("%+v", a)
	}
	f.calls = append(f.calls, method+"("+strings.Join(words, ", ")+")")
}

func ask[T any](f *fake, method string, args ...any) (T, error) {
	record(f, method, args...)
	v, _ := f.answer.(T)
	return v, f.err
}

func (f *fake) Daemon(context.Context) (control.Daemon, error) { return f.daemon, nil }
func (f *fake) Process(_ context.Context, name string) (control.ProcessInfo, error) {
	return ask[control.ProcessInfo](f, "Process", name)
}
func (f *fake) Processes(context.Context) ([]control.ProcessInfo, error) {
	return ask[[]control.ProcessInfo](f, "Processes")
}
func (f *fake) Configs(context.Context) ([]control.ConfigInfo, error) {
	return ask[[]control.ConfigInfo](f, "Configs")
}
func (f *fake) Groups(context.Context) ([]string, error) { return ask[[]string](f, "Groups") }
func (f *fake) Start(_ context.Context, t control.Target, wait bool) ([]control.Result, error) {
	return ask[[]control.Result](f, "Start", t, wait)
}
func (f *fake) Stop(_ context.Context, t control.Target, wait bool) ([]control.Result, error) {
	return ask[[]control.Result](f, "Stop", t, wait)
}
func (f *fake) Signal(_ context.Context, t control.Target, signal string) ([]control.Result, error) {
	return ask[[]control.Result](f, "Signal", t, signal)
}
func (f *fake) WriteStdin(_ context.Context, name string, data []byte) error {
	record(f, "WriteStdin", name, string(data))
	return f.err
}
func (f *fake) Reread(context.Context) (control.Reread, error) {
	return ask[control.Reread](f, "Reread")
}
func (f *fake) AddGroup(_ context.Context, name string) error {
	record(f, "AddGroup", name)
	return f.err
}
func (f *fake) RemoveGroup(_ context.Context, name string) error {
	record(f, "RemoveGroup", name)
	return f.err
}
func (f *fake) AddProgram(_ context.Context, group, program string, options map[string]string) error {
	record(f, "AddProgram", group, program, options)
	return f.err
}
func (f *fake) RemoveProcess(_ context.Context, group, name string) error {
	record(f, "RemoveProcess", group, name)
	return f.err
}
func (f *fake) UpdateNumprocs(_ context.Context, group string) (control.Numprocs, error) {
	return ask[control.Numprocs](f, "UpdateNumprocs", group)
}
func (f *fake) GraceUpdate(_ context.Context, name string) (control.GraceResult, error) {
	return ask[control.GraceResult](f, "GraceUpdate", name)
}
func (f *fake) ReadLog(_ context.Context, log control.Log, offset, length int64) ([]byte, error) {
	return ask[[]byte](f, "ReadLog", log, offset, length)
}
func (f *fake) TailLog(_ context.Context, log control.Log, offset, length int64) (control.Tail, error) {
	return ask[control.Tail](f, "TailLog", log, offset, length)
}
func (f *fake) FollowLog(_ context.Context, log control.Log) (control.Follower, error) {
	return ask[control.Follower](f, "FollowLog", log)
}
func (f *fake) ClearLog(_ context.Context, log control.Log) error {
	record(f, "ClearLog", log)
	return f.err
}
func (f *fake) ClearAllLogs(context.Context) ([]control.Result, error) {
	return ask[[]control.Result](f, "ClearAllLogs")
}
func (f *fake) Shutdown(context.Context) error {
	record(f, "Shutdown")
	return f.err
}
func (f *fake) Restart(context.Context) error {
	record(f, "Restart")
	return f.err
}
func (f *fake) Log(_ context.Context, level int, message string) error {
	record(f, "Log", level, message)
	return nil
}
