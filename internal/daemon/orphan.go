package daemon

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/graced/graced/internal/core"
)

// orphan is a command that a daemon before was given and has not answered. Whoever asks for the same is taken for its client, who has asked again or whose
// connection was passed on: what has begun is not begun a second time, and not refused because it has.
type orphan struct {
	asked string
	reply *core.Reply // nil: it is on its way
}

// asksAgain is how long a client may take to ask the next daemon again.
const asksAgain = 10 * time.Second

// askedFor is what a command asks for, as something that can be compared and written down; "" = nobody has to ask for it again, or may not: input for a
// process is not written twice.
func askedFor(verb core.Verb) string {
	switch verb.(type) {
	case core.Start, core.Stop, core.AddGroups, core.RemoveGroup, core.AddProcesses, core.RemoveProcess:
	default:
		return ""
	}
	text, err := json.Marshal(verb)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%T %s", verb, text))
	return string(sum[:])
}

// orphaned makes orphans of what the daemon before was asked for.
func (d *Daemon) orphaned(asked map[core.Req]string) {
	d.loop.asked, d.loop.orphans = asked, map[core.Req]orphan{} // this daemon may be replaced as well
	for req, what := range asked {
		d.loop.orphans[req] = orphan{asked: what}
	}
	d.loop.adoptUntil = d.now().Mono + asksAgain
}

// takeOrphan answers a command with what an earlier daemon was asked for, if there is such a thing.
func (d *Daemon) takeOrphan(now core.Now, w wish) bool {
	if len(d.loop.orphans) == 0 {
		return false
	}
	if now.Mono > d.loop.adoptUntil {
		d.loop.orphans = nil
		return false
	}
	what, first := askedFor(w.command), core.Req(0)
	for req, o := range d.loop.orphans {
		if o.asked == what && (first == 0 || req < first) {
			first = req
		}
	}
	if first == 0 {
		return false
	}
	o := d.loop.orphans[first]
	delete(d.loop.orphans, first)
	if w.got != nil {
		w.got(first)
	}
	if o.reply != nil {
		w.reply <- *o.reply
		return true
	}
	d.loop.replies[first] = w.reply
	return true
}
