package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// logtail streams the log of a process: /logtail/<namespec>[/stdout|/stderr] (contract: rpc, "Streaming tails").
func (h *handler) logtail(w http.ResponseWriter, r *http.Request) {
	_, spec, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	name, channel, given := strings.Cut(spec, "/")
	if !given {
		channel = string(control.Stdout)
	}
	known := channel == string(control.Stdout) || channel == string(control.Stderr)
	if r.Method == http.MethodGet && (!known || process.ParseNamespec(name).WholeGroup()) {
		fail(w, http.StatusNotFound)
		return
	}
	// Proxies would hold the stream back.
	w.Header().Set("X-Accel-Buffering", "no")
	h.follow(w, r, control.Log{Process: name, Channel: control.Channel(channel)})
}

// follow streams a log until the client or the server goes. Every piece leaves at once, whatever the version of HTTP (quirk D14).
func (h *handler) follow(w http.ResponseWriter, r *http.Request, log control.Log) {
	if r.Method != http.MethodGet {
		w.Header().Del("X-Accel-Buffering")
		fail(w, http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.staying, cancel)()
	follower, err := h.svc.FollowLog(ctx, log)
	if err != nil {
		w.Header().Del("X-Accel-Buffering")
		status := http.StatusInternalServerError
		var fault *control.Error
		if errors.As(err, &fault) {
			status = http.StatusNotFound // no such process, or no log yet
		}
		fail(w, status)
		return
	}
	defer func() { _ = follower.Close() }()
	modified := time.Now()
	if d, ok := follower.(Dated); ok {
		modified = d.Modified()
	}
	w.Header().Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	w.WriteHeader(http.StatusOK)
	conn := http.NewResponseController(w)
	if conn.Flush() != nil {
		return
	}
	for {
		data, err := follower.Next(ctx)
		if len(data) > 0 {
			if _, err := w.Write(data); err != nil || conn.Flush() != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
