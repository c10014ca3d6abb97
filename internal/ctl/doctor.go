package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// doctorAnswer answers doctor.
type doctorAnswer struct{ control.Doctor }

// featureRecord is one thing that the daemon's place offers, or does not.
type featureRecord struct{ control.Feature }

func (r featureRecord) Schema() string { return "graced.feature/v1" }
func (r featureRecord) Name() string   { return "" }
func (r featureRecord) Line() string   { return "" }

func (a *doctorAnswer) Schema() string { return control.DoctorSchema }

func (a *doctorAnswer) Records() []format.Record {
	out := make([]featureRecord, len(a.Features))
	for i, f := range a.Features {
		out[i] = featureRecord{f}
	}
	return records(out)
}

// Text is a table, and below it what happens instead of what there is not.
func (a *doctorAnswer) Text(style format.Style) string {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon pid %d", a.DaemonPID)
	if a.KeeperPID != 0 {
		fmt.Fprintf(&b, ", keeper pid %d", a.KeeperPID)
	}
	fmt.Fprintf(&b, ", Linux %s\n\n", a.Kernel)
	var rows [][]format.Cell
	var missing []control.Feature
	for _, f := range a.Features {
		have := format.Cell{Text: "yes", Colour: format.Green}
		if !f.Available {
			missing = append(missing, f)
			have = format.Cell{Text: "no", Colour: format.Yellow}
		}
		rows = append(rows, []format.Cell{{Text: f.Name}, have, {Text: f.Detail}, {Text: f.Use}})
	}
	b.WriteString(format.Table(style, []string{"FEATURE", "THERE", "DETAIL", "FOR"}, rows))
	for _, f := range missing {
		fmt.Fprintf(&b, "\nwithout %s: %s", f.Name, f.Instead)
	}
	if len(missing) > 0 {
		b.WriteByte('\n')
	}
	if a.Grouped > 0 || len(a.Lacking) > 0 {
		fmt.Fprintf(&b, "\n%s in control groups of their own\n", count(a.Grouped, "process"))
	}
	for _, l := range a.Lacking {
		fmt.Fprintf(&b, "%s: %s\n", l.Name, l.Text)
	}
	if len(a.Unknown) > 0 {
		fmt.Fprintf(&b, "\nGRACED_DISABLE has no meaning for %s\n", strings.Join(a.Unknown, " "))
	}
	return b.String()
}

// answerDoctor shows what the daemon's place offers.
func (s *Session) answerDoctor(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	if err := c.noWords(); err != nil {
		return nil, err
	}
	d, err := server.Doctor(ctx)
	if err != nil {
		return nil, s.changeProblem(ctx, server, err)
	}
	d.Schema = ""
	return &doctorAnswer{d}, nil
}
