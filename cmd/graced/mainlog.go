package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/graced/graced/internal/childlog"
	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/daemon"
)

// mainLog is the activity log of one run.
type mainLog struct {
	file   *childlog.File   // nil with syslog
	syslog *childlog.Syslog // nil with a file
	writer *daemon.LogWriter
	logger *slog.Logger
}

// openMainLog opens the activity log; a daemon in the foreground copies it to standard output unless it is silent.
func openMainLog(c config.Supervisord) (*mainLog, error) {
	var sinks []io.Writer
	if c.Nodaemon && !c.Silent {
		sinks = append(sinks, os.Stdout)
	}
	l := &mainLog{}
	if c.Logfile == "syslog" {
		l.syslog = childlog.NewSyslog()
		return l.start(c, append(sinks, l.syslog)), nil
	}
	report := func(text string) { fmt.Fprintln(os.Stderr, "graced: main log:", text) }
	file, err := childlog.OpenFile(c.Logfile, c.LogfileMaxBytes, c.LogfileBackups, report)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("cannot open the main log %s: %v", c.Logfile, err)}
	}
	l.file = file
	return l.start(c, append(sinks, file)), nil
}

func (l *mainLog) start(c config.Supervisord, sinks []io.Writer) *mainLog {
	l.writer = daemon.NewLogWriter(sinks...)
	l.logger = daemon.NewLogger(l.writer, daemon.LevelOf(int(c.LogLevel)))
	return l
}

func (l *mainLog) close() {
	l.writer.Close()
	var err error
	if l.file != nil {
		err = l.file.Close()
	} else {
		err = l.syslog.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "graced: main log:", err)
	}
}
