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
	file   *childlog.File
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
	report := func(text string) { fmt.Fprintln(os.Stderr, "graced: main log:", text) }
	file, err := childlog.OpenFile(c.Logfile, c.LogfileMaxBytes, c.LogfileBackups, report)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("cannot open the main log %s: %v", c.Logfile, err)}
	}
	l.file = file
	sinks = append(sinks, file)
	l.writer = daemon.NewLogWriter(sinks...)
	l.logger = daemon.NewLogger(l.writer, daemon.LevelOf(int(c.LogLevel)))
	return l, nil
}

func (l *mainLog) close() {
	l.writer.Close()
	if err := l.file.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "graced: main log:", err)
	}
}
