package sim

import (
	"flag"
	"testing"
	"time"

	"github.com/graced/graced/internal/core"
	"github.com/graced/graced/internal/plan"
	"github.com/graced/graced/internal/process"
)

var rollN = flag.Int("roll.n", 1000, "number of random rolls")

// TestRolls replaces whole groups by releases that are good or bad, while others cancel, pause, stop and restart. Every roll comes to an end: all of the
// new release, all of the old one, or what somebody has decided otherwise; a paused one waits for that. How many may be out of work is one of the
// promises that a Checker looks at. With -seed=N -roll.n=1 it plays one.
func TestRolls(t *testing.T) {
	saw := map[string]int{}
	for i := range *rollN {
		seed := *simSeed + uint64(i)
		sc := GenerateRoll(seed)
		u := newUpdateRun(sc, seed%2 == 1, saw)
		if sc.Is[0].Processes[0].Roll.MaxUnavailable == process.None {
			saw["pure surge"]++
		}
		u.roll = true
		broken := u.play(len(sc.Others) > 0)
		saw["batches"] += u.checker.Batches
		saw["commands of lives"] += u.checker.Hooks
		saw["extras"] += u.checker.Extras
		saw["covered"] += u.checker.Covered
		for what, n := range u.checker.Seized {
			saw[what] += n
		}
		if broken != "" {
			t.Fatalf("seed %d (-seed=%[1]d -roll.n=1):\n%s", seed, broken)
		}
	}
	t.Logf("%d rolls from seed %d: %v", *rollN, *simSeed, saw)
	for _, what := range []string{"rolled", "rolled back", "left", "paused", "batches", "commands of lives", "extras", "covered", "pure surge",
		"stopped while paused", "started while paused", "taken while paused", "is paused", "its group was removed"} {
		if *rollN >= 1000 && saw[what] == 0 {
			t.Errorf("no %q in any roll: the generator does not reach it", what)
		}
	}
}

// alone carries out a roll with nobody else around.
func (u *updateRun) alone() {
	req := u.number()
	u.Command(Command{Req: req, Op: "update"})
	u.Until(u.Now() + 5*time.Minute)
	for i := 0; u.replies[core.Req(req)].Req == 0 && u.broken == ""; i++ {
		paused := false
		for _, f := range u.checker.Updating() {
			paused = paused || u.checker.updates[f].paused
		}
		if !paused || i > 20 {
			u.fail("the roll is stuck")
			return
		}
		u.saw["paused"]++
		op := "resumeupdate"
		if i > 10 { // an extra process that does not come up is tried again each time, and nothing goes on without it
			u.saw["given up"]++
			op = "cancelupdate"
		}
		u.Command(Command{Req: u.number(), Op: op, Name: "1"})
		u.Until(u.Now() + 5*time.Minute)
	}
	r := u.replies[core.Req(req)]
	var back, bad, stuck int
	for _, s := range r.Updated {
		if s.Undo {
			back++
		}
		if s.Fault != nil {
			bad++
		}
		if s.Undo && s.Fault != nil {
			stuck++
		}
	}
	now, want := u.processes(), u.Want[0]
	changed := 0
	for _, d := range want.Processes {
		s := now[process.Namespec{Group: want.Name, Process: d.Name}]
		if s.Spec.Command == d.Command {
			changed++
		}
	}
	onFailure := plan.Plan{Changes: replacements(want)}.Roll().OnFailure
	switch {
	case bad == 0 && changed == len(want.Processes):
		u.saw["rolled"]++
	case onFailure == process.RollBack && back > 0 && changed == 0:
		u.saw["rolled back"]++
	case bad > 0 && onFailure != process.RollBack:
		u.saw["left"]++
	case onFailure == process.RollBack && changed <= stuck: // what could not be stopped keeps what it has, and that is told
		u.saw["rolled back in part"]++
	case bad > 0 && changed == 0: // what could not even be stopped
		u.saw["nothing done"]++
	default:
		u.fail("%d of %d are new, %d were taken back, %d failed: %s", changed, len(want.Processes), back, bad, u.answerText(r))
	}
}

func replacements(g process.GroupSpec) (list []plan.Change) {
	for _, p := range g.Processes {
		list = append(list, plan.Change{Action: plan.ReplaceProcess, Group: g.Name, Name: p.Name, Spec: p})
	}
	return list
}
