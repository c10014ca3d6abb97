package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// rereadSessions measures how long the configuration takes to be read again: a program in each file, one of which has changed. Both
// daemons are up at the same time and read the same files in turns. No program runs.
func (b *bench) rereadSessions(ctx context.Context) error {
	dir := filepath.Join(b.dir, "include")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	write := func(n, priority int) error {
		text := fmt.Sprintf("[program:p%d]\ncommand=%s\nautostart=false\npriority=%d\nstdout_logfile=NONE\nstderr_logfile=NONE\n", n, b.child.command("stamp", "/nowhere"), priority)
		return os.WriteFile(filepath.Join(dir, fmt.Sprintf("p%d.conf", n)), []byte(text), 0o644)
	}
	for n := range b.files {
		if err := write(n, 1); err != nil {
			return err
		}
	}
	var askers []*asker
	for _, c := range b.contenders {
		s, err := b.newSession(c, "[include]\nfiles="+dir+"/*.conf\n")
		if err != nil {
			return err
		}
		defer s.close()
		a, err := newAsker(ctx, s.socket)
		if err != nil {
			return s.trouble(err.Error())
		}
		defer a.close()
		askers = append(askers, a)
	}
	reload := request("supervisor.reloadConfig")
	for round := range b.rereads {
		if err := write(b.files/2, 2+round); err != nil {
			return err
		}
		for i, c := range b.contenders {
			var answer strings.Builder
			t0 := monotonic()
			if err := askers[i].call(reload, &answer); err != nil {
				return fmt.Errorf("reloadConfig of %s: %v", c.name, err)
			}
			c.rereads = append(c.rereads, monotonic()-t0)
			if want := fmt.Sprintf("<string>p%d</string>", b.files/2); strings.Count(answer.String(), "<string>") != 1 || !strings.Contains(answer.String(), want) {
				return fmt.Errorf("reloadConfig of %s tells of something else than %s: %s", c.name, want, answer.String())
			}
		}
	}
	for _, c := range b.contenders {
		say("%s: %d files read again in %v", c.name, b.files, quantile(c.rereads, 0.5))
	}
	return nil
}
