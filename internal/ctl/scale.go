package ctl

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
)

// scaleOptions are the words of "scale".
type scaleOptions struct {
	control.ScaleRequest
	write  bool
	yes    bool
	output planOptions
}

func parseScale(arg string) (scaleOptions, error) {
	var o scaleOptions
	wrong := func(text string) (scaleOptions, error) { return o, &usageFault{"scale", text} }
	words := fields(arg)
	for i := 0; i < len(words); i++ {
		word, value, glued := strings.Cut(words[i], "=")
		next := func() string {
			if !glued && i+1 < len(words) {
				i++
				value = words[i]
			}
			return value
		}
		switch {
		case word == "--victim":
			o.Victim = next()
		case word == "--lazy":
			o.Lazy = true
		case word == "--dry-run":
			o.DryRun = true
		case word == "--write":
			o.write = true
		case word == "-y", word == "--yes":
			o.yes = true
		case word == "-o", word == "--output":
			if o.output.output = next(); o.output.output != "json" && o.output.output != "jsonl" {
				return wrong("unknown output format " + o.output.output)
			}
		case word == "--timeout":
			d, err := parseTimeout(next())
			if err != nil {
				return wrong(err.Error())
			}
			o.output.timeout = d
		case strings.HasPrefix(word, "-"):
			return wrong("unknown option " + word)
		case !glued || value == "":
			return wrong("write " + word + "=N, " + word + "=+N, " + word + "=-N or " + word + "=file")
		default:
			o.Targets = append(o.Targets, control.ScaleTarget{Program: word, To: value})
		}
	}
	if len(o.Targets) == 0 {
		return wrong("name a program and how many processes it shall have")
	}
	return o, nil
}

// scale changes how many processes programs have.
func (s *Session) scale(ctx context.Context, arg string) error {
	o, err := parseScale(arg)
	if err != nil {
		return s.misused(err)
	}
	server, err := s.server()
	if err != nil {
		return err
	}
	if o.write || o.DryRun || s.Terminal && !o.yes {
		dry := o.ScaleRequest
		dry.DryRun = true
		would, err := server.Scale(ctx, dry)
		if err := s.scaleFault(ctx, server, err); err != nil || s.status != exitOK {
			return err
		}
		if o.DryRun {
			s.showScaling(would, o, "would be ")
			return nil
		}
		if !s.sure(ctx, would, o) {
			s.output("nothing was done")
			return nil
		}
		if o.write {
			if err := s.writeCounts(would); err != nil {
				s.status = exitGeneric
				s.complain("ERROR: " + err.Error())
				return nil
			}
			for i := range o.Targets {
				o.Targets[i].To = control.ScaleToFile
			}
		}
	}
	done, err := server.Scale(ctx, o.ScaleRequest)
	if err := s.scaleFault(ctx, server, err); err != nil || s.status != exitOK {
		return err
	}
	if op := done.Operation; op != nil && op.State != control.OperationNothing {
		if err := s.watch(ctx, server, *op, o.output); err != nil {
			return err
		}
	}
	s.showScaling(done, o, "")
	return nil
}

// sure asks before a program loses its last process.
func (s *Session) sure(ctx context.Context, would control.Scaling, o scaleOptions) bool {
	for _, p := range would.Programs {
		if p.After > 0 || p.Before == 0 || o.yes || !s.Terminal {
			continue
		}
		answer, err := s.In.ReadLine(ctx, fmt.Sprintf("stop %s of %s and keep the empty group? [y/N] ", count(p.Before, "process"), p.Program))
		if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
			return false
		}
	}
	return true
}

func (s *Session) scaleFault(ctx context.Context, server Proxy, err error) error {
	switch fault(err) {
	case control.BadName:
		s.status = exitGeneric
		s.complain("ERROR: no such program: " + detailOf(err))
		s.suggestFrom(ctx, server, detailOf(err))
		return nil
	case control.IncorrectParameters:
		s.status = exitInvalidArgs
		s.complain("ERROR: " + detailOf(err))
		return nil
	case control.UnknownMethod:
		return s.notOurs(err)
	}
	return s.changeFault(ctx, server, err)
}

// showScaling prints what became of each program.
func (s *Session) showScaling(done control.Scaling, o scaleOptions, would string) {
	switch o.output.output {
	case "json":
		if done.Operation == nil { // watch has shown the operation otherwise
			s.outputJSON(done)
		}
		return
	case "jsonl":
		return
	}
	for _, p := range done.Programs {
		line := fmt.Sprintf("%s   %d -> %s", p.Program, p.Before, count(p.After, "process"))
		if p.Before == p.After {
			line = fmt.Sprintf("%s   %s, as before", p.Program, count(p.After, "process"))
		}
		var parts []string
		for _, part := range []struct {
			names []string
			what  string
		}{{p.Start, "started"}, {p.Stop, "stopped"}, {p.Leave, "to leave once they end"}} {
			if len(part.names) > 0 {
				what := part.what
				if would != "" && part.what != "to leave once they end" {
					what = would + part.what
				}
				parts = append(parts, strings.Join(part.names, " ")+" "+what)
			}
		}
		if would != "" && len(parts) > 0 {
			line += ": " + strings.Join(parts, ", ")
		}
		s.output(line)
		if p.Override && p.After != p.InFile {
			s.output(fmt.Sprintf("  an override: %s says numprocs=%d", placeText(p.File, p.Line), p.InFile))
			s.output(fmt.Sprintf("  keep it: gracectl scale %s=%d --write        drop it: gracectl scale %s=file", p.Program, p.After, p.Program))
		}
	}
}

func placeText(file string, line int) string {
	return shorten(file, workingDir()) + ":" + strconv.Itoa(line)
}

// writeCounts writes new numbers of processes into the files that say them.
func (s *Session) writeCounts(would control.Scaling) error {
	for _, p := range would.Programs {
		if p.After == p.InFile {
			continue
		}
		before, after, err := writeCount(p.File, p.Line, p.After)
		if err != nil {
			return fmt.Errorf("cannot write numprocs of %s: %w", p.Program, err)
		}
		s.output(shorten(p.File, workingDir()))
		if before != "" {
			s.output(fmt.Sprintf("%4d -%s", p.Line, before))
			s.output(fmt.Sprintf("%4d +%s", p.Line, after))
		} else {
			s.output(fmt.Sprintf("%4d +%s", p.Line+1, after))
		}
	}
	return nil
}

// writeCount changes the numprocs in one line of a file, or adds it below the line of the section. Comments and everything else stay. The file
// is replaced as a whole or not at all.
func writeCount(path string, line, n int) (before, after string, err error) {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved // the link stays one
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	lines := strings.SplitAfter(string(data), "\n")
	if line < 1 || line > len(lines) {
		return "", "", fmt.Errorf("%s has no line %d any more", path, line)
	}
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
			return "", "", fmt.Errorf("%s:%d is not the line of numprocs any more", path, line)
		}
		value := text[cut+1:]
		lead := value[:len(value)-len(strings.TrimLeft(value, " \t"))]
		rest := ""
		if i := strings.IndexAny(value[len(lead):], " \t"); i >= 0 {
			rest = value[len(lead)+i:] // a comment
		}
		before, after = text, text[:cut+1]+lead+strconv.Itoa(n)+rest
		lines[line-1] = after + end
	}
	return before, after, replaceFile(path, info, strings.Join(lines, ""))
}

// replaceFile writes a file anew beside the old one and puts it in its place, with the same mode.
func replaceFile(path string, info os.FileInfo, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // it is of no use
		}
	}()
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err = os.Chmod(f.Name(), info.Mode().Perm()); err != nil {
		return err
	}
	if err = keepOwner(f.Name(), info); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
