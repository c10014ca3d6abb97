package daemon

import (
	"log/slog"
	"slices"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/host"
	"github.com/graced/graced/internal/process"
)

// probe finds out whether the sockets of FastCGI programs can be opened, once for each group that is about to be added. One that cannot is
// told and stops nothing (quirk C16): the processes fail with it on their own, and may find it free at a later try. Those that are held by
// processes that are there already are left alone.
func (d *Daemon) probe(groups []process.GroupSpec, held ...string) {
	if control.Mood(d.mood.Load()) != control.MoodRunning {
		return
	}
	for _, g := range groups {
		seen := map[string]bool{}
		for _, p := range g.Processes {
			if p.Socket.URL == "" || seen[p.Socket.URL] || slices.Contains(held, p.Socket.URL) {
				continue
			}
			seen[p.Socket.URL] = true
			// Spawns go the same way, so they come after.
			d.files.put(func() { d.host.Probe(p.Program, p.Socket) })
		}
	}
}

// note is an effect of our own: a line of the main log that keeps its place among what the core says.
type note struct {
	core.Effect
	level slog.Level
	text  string
}

// noteSocket tells what became of a socket (contract: process, "FastCGI sockets"), after what the core makes of the same news.
func (d *Daemon) noteSocket(e host.Event) {
	closed := ""
	switch e := e.(type) {
	case host.SocketOpening:
		d.effects = append(d.effects, note{level: LevelInfo, text: "Creating socket " + e.URL})
	case host.SocketFailed:
		d.effects = append(d.effects, note{level: LevelError, text: e.Text})
	case host.SocketClosed:
		closed = e.URL
	case host.SpawnFailed:
		closed = e.Closed
	case host.Exited:
		closed = e.Closed
	}
	if closed != "" {
		d.effects = append(d.effects, note{level: LevelInfo, text: "Closing socket " + closed})
	}
}
