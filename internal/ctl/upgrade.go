package ctl

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// upgradePatience is how long the next daemon may take: that of the keeper, twice, since the daemon before comes back when it fails.
const upgradePatience = 30 * time.Second

// upgradeAnswer answers upgrade.
type upgradeAnswer struct {
	OldPID     int           `json:"old_pid"`
	PID        int           `json:"pid"`
	Generation int           `json:"generation"`
	Binary     string        `json:"binary"`
	Keeper     string        `json:"keeper_binary,omitempty"`
	Failed     string        `json:"keeper_failed,omitempty"` // why the keeper goes on with that
	took       time.Duration // from the question to the first answer of the next daemon
}

func (a *upgradeAnswer) Schema() string { return control.UpgradeSchema }

func (a *upgradeAnswer) Records() []format.Record { return []format.Record{a} }
func (a *upgradeAnswer) Name() string             { return "" }
func (a *upgradeAnswer) Line() string             { return "" }

func (a *upgradeAnswer) Text(format.Style) string {
	text := fmt.Sprintf("upgraded: daemon %d -> %d (%s) in %.0f ms, no process was restarted\n", a.OldPID, a.PID, a.Binary, float64(a.took.Microseconds())/1000)
	if a.Failed != "" {
		text += fmt.Sprintf("the keeper goes on with %s: %s\n", a.Keeper, a.Failed)
	}
	return text
}

// answerUpgrade has another daemon take over, and waits for it and for the keeper.
func (s *Session) answerUpgrade(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	binary := ""
	switch {
	case len(c.words) > 1:
		return nil, c.misused("takes one program, and got " + quote(c.words[1]) + " as well")
	case len(c.words) == 1 && c.words[0] == "":
		return nil, c.misused("the program has no name: an empty word; without any it is the file of the running one")
	case len(c.words) == 1:
		var err error
		if binary, err = filepath.Abs(c.words[0]); err != nil {
			return nil, err
		}
	}
	before, err := server.Doctor(ctx)
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	began := time.Now()
	if err := server.Upgrade(ctx, binary); err != nil {
		if fault(err) == control.Failed {
			return nil, &format.Problem{Code: "E319", Title: "not upgraded", Detail: "not upgraded: " + detail(err), FaultCode: int(control.Failed),
				Hint: "nothing has been changed: the daemon goes on as it is\n" + s.whichProgram()}
		}
		return nil, s.changeProblem(ctx, server, err)
	}
	now, err := s.awaitDaemon(ctx, server, func(d *control.Doctor) bool { return d.Generation > before.Generation })
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	if now.Failed != "" {
		return nil, &format.Problem{
			Code: "E319", Title: "not upgraded", Detail: "the program before goes on: " + now.Failed, Hint: "no process was restarted; the main log tells it as well\n" + s.whichProgram(),
		}
	}
	if now, err = s.awaitDaemon(ctx, server, func(d *control.Doctor) bool { return !d.KeeperChanging }); err != nil {
		return nil, err
	}
	return &upgradeAnswer{before.DaemonPID, now.DaemonPID, now.Generation, now.Binary, now.KeeperBinary, now.KeeperFailed, took}, nil
}

// whichProgram says what upgrade takes.
func (s *Session) whichProgram() string {
	return "it takes the program of a graced, the daemon, that this machine can execute: " + s.Program + " upgrade /path/to/graced, or no word for the file of the running one"
}

// awaitDaemon waits for a daemon that is as it is to be.
func (s *Session) awaitDaemon(ctx context.Context, server Proxy, is func(*control.Doctor) bool) (control.Doctor, error) {
	ctx, cancel := context.WithTimeout(ctx, upgradePatience)
	defer cancel()
	for {
		now, err := server.Doctor(ctx)
		if err == nil && is(&now) {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, &format.Problem{
				Code: "E319", Title: "not upgraded", Detail: "no other daemon has answered", Hint: s.Program + " doctor tells which one is at work",
			}
		case <-time.After(2 * time.Millisecond):
		}
	}
}
