package ctl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
	"github.com/graced/graced/internal/rewrite"
)

// scaleAnswer answers scale.
type scaleAnswer struct {
	control.Scaling

	done *operationAnswer // nil = nothing was done
	dry  bool
}

func (a *scaleAnswer) Schema() string { return control.ScalingSchema }

func (a *scaleAnswer) Records() []format.Record {
	if a.done == nil {
		return nil
	}
	return a.done.Records()
}

func (a *scaleAnswer) exit(c *call) int {
	if a.done == nil {
		return 0
	}
	return a.done.exit(c)
}

func (a *scaleAnswer) lost() string {
	if a.Operation == nil {
		return ""
	}
	return a.Operation.NotKept
}

func (a *scaleAnswer) Text(style format.Style) string {
	var b strings.Builder
	if a.done != nil && (a.done.State != control.OperationNothing || a.done.left != "") {
		b.WriteString(a.done.Text(style))
	}
	if a.done != nil && (!a.done.begun() || a.done.left == leftUnseen) {
		return b.String()
	}
	for _, p := range a.Programs {
		line := fmt.Sprintf("%s   %d -> %s", p.Program, p.Before, count(p.After, "process"))
		if p.Before == p.After {
			line = fmt.Sprintf("%s   %s, as before", p.Program, count(p.After, "process"))
		}
		if a.dry {
			line += wouldText(p)
		}
		b.WriteString(line + "\n")
		if p.Override && p.After != p.InFile {
			fmt.Fprintf(&b, "  an override: %s says numprocs=%d\n", placeText(p.File, p.Line), p.InFile)
			fmt.Fprintf(&b, "  keep it: gracectl scale %s=%d --write        drop it: gracectl scale %s=file\n", p.Program, p.After, p.Program)
		}
	}
	return b.String()
}

// wouldText says what a dry run would do.
func wouldText(p control.ScaledProgram) string {
	var parts []string
	for _, part := range []struct {
		names []string
		what  string
	}{{p.Start, "would be started"}, {p.Stop, "would be stopped"}, {p.Leave, "would leave once they end"}} {
		if len(part.names) > 0 {
			parts = append(parts, strings.Join(part.names, " ")+" "+part.what)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// scaleTargets reads "web=5", "web=+2", "web=-1", "web=file".
func (c *call) scaleTargets() ([]control.ScaleTarget, error) {
	var out []control.ScaleTarget
	for _, w := range c.words {
		program, to, ok := strings.Cut(w, "=")
		if !ok || program == "" || !isCount(to) {
			if program == "" {
				program = "PROGRAM"
			}
			return nil, c.misused("write " + program + "=N, " + program + "=+N, " + program + "=-N or " + program + "=file")
		}
		out = append(out, control.ScaleTarget{Program: program, To: to})
	}
	if len(out) == 0 {
		return nil, c.misused("name a program and how many processes it shall have: web=5")
	}
	return out, nil
}

// isCount reports whether a text is in the form of what a program can be scaled to. How much it may be is the daemon's to say.
func isCount(to string) bool {
	digits := strings.TrimLeft(to, "+-")
	return to == control.ScaleToFile || digits != "" && len(to)-len(digits) <= 1 && strings.Trim(digits, "0123456789") == ""
}

// answerScale changes how many processes programs have.
func (s *Session) answerScale(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	targets, err := c.scaleTargets()
	if err != nil {
		return nil, err
	}
	req := control.ScaleRequest{Targets: targets, Victim: c.victim, Lazy: c.lazy, DryRun: c.dryRun}
	asks := s.Terminal && !c.yes && c.Form == format.Text
	if c.dryRun || c.write || asks {
		dry := req
		dry.DryRun = true
		would, err := server.Scale(ctx, dry)
		if err != nil {
			return nil, s.scaleProblem(ctx, server, err)
		}
		would.Schema = ""
		if c.dryRun {
			return &scaleAnswer{Scaling: would, dry: true}, nil
		}
		for _, p := range would.Programs {
			if asks && p.After == 0 && p.Before > 0 && !s.agrees(ctx, fmt.Sprintf("stop %s of %s and keep the empty group? [y/N] ", count(p.Before, "process"), p.Program)) {
				return &doneAnswer{Verb: c.verb, Done: "declined", text: "nothing was done"}, nil
			}
		}
		if c.write && !isLocal(s.ServerURL) {
			return nil, c.misused("--write needs the daemon on this machine: its files are there")
		}
		if c.write {
			if err := s.writeCounts(c, would); err != nil {
				hint := "nothing was changed for the program it is about"
				if errors.Is(err, rewrite.ErrReadOnly) {
					hint += "; --force writes it all the same"
				}
				return nil, &format.Problem{Code: "E316", Title: "the file was not written", Detail: err.Error(), Hint: hint}
			}
			for i := range req.Targets {
				req.Targets[i].To = control.ScaleToFile
			}
		}
	}
	done, err := server.Scale(ctx, req)
	if err != nil {
		return nil, s.scaleProblem(ctx, server, err)
	}
	done.Schema = ""
	a := &scaleAnswer{Scaling: done}
	if done.Operation != nil {
		if a.done, err = s.watch(ctx, server, *done.Operation, c); err != nil {
			return a, err
		}
		if a.done.Scaled != nil { // by what there was when its turn came
			a.Programs, a.done.Scaled = a.done.Scaled, nil
		}
		a.Operation = &a.done.Operation
	}
	return a, nil
}

func (s *Session) scaleProblem(ctx context.Context, server Proxy, err error) error {
	if fault(err) == control.BadName {
		return &format.Problem{Code: "E317", Title: "no such program", Detail: "no program " + quote(detail(err)), Hint: s.Program + " avail lists what there is"}
	}
	return s.changeProblem(ctx, server, err)
}

func placeText(file string, line int) string {
	return shorten(file, workingDir()) + ":" + strconv.Itoa(line)
}

// writeCounts writes new numbers of processes into the files that say them.
func (s *Session) writeCounts(c *call, would control.Scaling) error {
	for _, p := range would.Programs {
		if p.After == p.InFile {
			continue
		}
		made, err := writeCount(p.File, p.SHA256, p.Line, p.After, c.force)
		if err != nil {
			return fmt.Errorf("cannot write numprocs of %s: %w", p.Program, err)
		}
		if c.Form != format.Text {
			continue
		}
		s.output(shorten(p.File, workingDir()))
		if made.before != "" {
			s.output(fmt.Sprintf("%4d -%s", p.Line, made.before))
			s.output(fmt.Sprintf("%4d +%s", p.Line, made.after))
		} else {
			s.output(fmt.Sprintf("%4d +%s", p.Line+1, made.after))
		}
		if made.names > 1 {
			s.output(fmt.Sprintf("written in place: the file has %d names (hard links), and all of them have it", made.names))
		}
	}
	return nil
}

// change is what became of a line.
type change struct {
	before, after string // before is "" for a line that is new
	names         int    // of the file
}

// writeCount changes the numprocs in one line of a file, or adds it below the line of the section. Comments and everything else stay.
func writeCount(path, sha string, line, n int, force bool) (change, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return change{}, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != sha {
		return change{}, fmt.Errorf("%s is not, or not any more, the file that the daemon has read", path)
	}
	lines := strings.SplitAfter(string(data), "\n")
	if line < 1 || line > len(lines) {
		return change{}, fmt.Errorf("%s has no line %d any more", path, line)
	}
	var before, after string
	text := strings.TrimRight(lines[line-1], "\r\n")
	end := lines[line-1][len(text):]
	switch {
	case strings.HasPrefix(strings.TrimSpace(text), "["):
		if end == "" {
			end = "\n"
			lines[line-1] += end
		}
		after = "numprocs=" + strconv.Itoa(n)
		lines[line-1] += after + end
	default:
		cut := strings.IndexAny(text, "=:")
		if cut < 0 || !strings.EqualFold(strings.TrimSpace(text[:cut]), "numprocs") {
			return change{}, fmt.Errorf("%s:%d is not the line of numprocs any more", path, line)
		}
		value := text[cut+1:]
		if line < len(lines) && strings.TrimSpace(value) == "" || line < len(lines) && continues(lines[line]) {
			return change{}, fmt.Errorf("%s:%d: the value of numprocs goes on in the next line: put it on one line first", path, line)
		}
		lead := value[:len(value)-len(strings.TrimLeft(value, " \t"))]
		rest := ""
		if i := strings.IndexAny(value[len(lead):], " \t"); i >= 0 {
			rest = value[len(lead)+i:] // a comment
		}
		before, after = text, text[:cut+1]+lead+strconv.Itoa(n)+rest
		lines[line-1] = after + end
	}
	written, err := rewrite.File(path, data, []byte(strings.Join(lines, "")), force)
	return change{before, after, written.Names}, err
}

// continues reports whether a line goes on with the value of the one before.
func continues(line string) bool {
	text := strings.TrimSpace(line)
	return text != "" && (line[0] == ' ' || line[0] == '\t') && text[0] != '#' && text[0] != ';'
}
