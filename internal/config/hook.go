package config

import (
	"slices"
	"strings"
	"time"

	"github.com/graced/graced/internal/process"
)

// hooks reads how commands run at the moments of a process's life, apart from the commands.
func (p *programReader) hooks() (h process.Hooks) {
	most := func(what string) time.Duration { return read(p.reader, what+"_timeout", 30*time.Second, span) }
	h.PreStart.Timeout, h.PostReady.Timeout, h.PreStop.Timeout, h.PostStop.Timeout = most("pre_start"), most("post_ready"), most("pre_stop"), most("post_stop")
	h.OnPreStart = read(p.reader, "pre_start_on_failure", process.HookFails, oneOf("pre_start_on_failure", process.HookFails, process.HookIgnored))
	h.OnPostReady = read(p.reader, "post_ready_on_failure", process.PostIgnored, oneOf("post_ready_on_failure", process.PostIgnored, process.PostFails))
	return h
}

// hookCommands reads the commands.
func (p *programReader) hookCommands(h *process.Hooks) {
	h.PreStart.Command, h.PostReady.Command = p.commandOf("pre_start"), p.commandOf("post_ready")
	h.PreStop.Command, h.PostStop.Command = p.commandOf("pre_stop"), p.commandOf("post_stop")
}

// secretFiles reads which variables have the contents of which files as their values. What is wrong is told without the text: somebody may have
// written the secret itself.
func (p *programReader) secretFiles(text string) ([]process.Secret, error) {
	bad := func(why string) ([]process.Secret, error) {
		return nil, &valueError{"invalid 'secret_files' value: " + why, "write NAME=/path/of/the/file, with commas between"}
	}
	items, err := namesOf("secret_files", "name", text)
	if err != nil {
		return nil, err
	}
	var list []process.Secret
	for _, item := range items {
		key, path, ok := strings.Cut(item, "=")
		key, path = strip(key), strip(path)
		switch {
		case !ok || path == "":
			return bad("a part of it is no NAME=PATH")
		case !process.IsVariable(key):
			return bad("a name in it is not that of a variable")
		case strings.HasPrefix(key, "SUPERVISOR_"):
			return bad(key + " is graced's own")
		case slices.ContainsFunc(list, func(s process.Secret) bool { return s.Key == key }):
			return bad(key + " is there twice")
		}
		list = append(list, process.Secret{Key: key, Path: p.m.normalize(path)})
	}
	return list, nil
}
