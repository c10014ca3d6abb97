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

// openSockets tells the host which named sockets there are to be, when that has changed: those of all processes, started or not, so that clients can queue
// meanwhile. One that the files name stays open until its processes are there again.
func (d *Daemon) openSockets() {
	rev := d.loop.core.Revision()
	if rev == d.loop.sockets.seen {
		return
	}
	d.loop.sockets.seen = rev
	open := d.loop.core.Sockets()
	if len(open) == 0 && len(d.loop.sockets.open) == 0 {
		return
	}
	var keep []string
	for _, g := range d.loop.desired.groups {
		for _, p := range g.Processes {
			for _, s := range p.Sockets {
				if !slices.Contains(keep, s.URL) {
					keep = append(keep, s.URL)
				}
			}
		}
	}
	if slices.Equal(open, d.loop.sockets.open) && slices.Equal(keep, d.loop.sockets.keep) {
		return
	}
	d.loop.sockets.open, d.loop.sockets.keep = open, keep
	// Spawns go the same way: those of this turn come after.
	d.files.put(func() { d.host.Listen(open, keep) })
}

// listening is what the host was told of named sockets last.
type listening struct {
	open []process.NamedSocket
	keep []string
	seen uint64 // the core's revision
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
