package sim

import "strings"

// rowCompare is two different answers with a row for each process.
type rowCompare struct {
	w         *World
	command   Command
	ref, ours Fact
	trace     []Fact // the reference's
}

// tie names the tie that explains the difference, "" if none does. The same processes must be listed; two rows may have changed places only
// if both were completed in one instant; the result of a process may differ only if independent causes met when it was completed.
func (r rowCompare) tie() string {
	x, y := rows(r.ref.Text), rows(r.ours.Text)
	if late := r.ref.At - r.ours.At; late > tolerance || late < -tolerance || len(x) != len(y) || len(x) == 0 {
		return ""
	}
	place, result := map[string]int{}, map[string]string{}
	for i, row := range y {
		place[row[0]], result[row[0]] = i, row[1]
	}
	tie := ""
	for i, row := range x {
		if _, ok := place[row[0]]; !ok {
			return ""
		}
		done := r.completed(row)
		if row[1] != result[row[0]] {
			if tie = r.w.meeting(done); tie == "" {
				return ""
			}
		}
		for _, other := range x[:i] {
			if place[other[0]] < place[row[0]] {
				continue
			}
			if apart := r.completed(other) - done; apart > instant || apart < -instant {
				return ""
			}
			if tie == "" {
				tie = "rows of one instant"
			}
		}
	}
	return tie
}

// completed returns when the row of a process was settled.
func (r rowCompare) completed(row [2]string) int64 {
	if !r.command.Wait || strings.HasPrefix(r.command.Op, "signal") {
		return r.command.At
	}
	code, _, _ := strings.Cut(row[1], " ")
	stop := strings.HasPrefix(r.command.Op, "stop")
	state := ""
	for _, f := range r.trace {
		if f.Kind != "state" || f.Subject != row[0] || f.At > r.ref.At {
			continue
		}
		change, _, _ := strings.Cut(f.Text, " ")
		from, to, _ := strings.Cut(change, ">")
		if f.At < r.command.At {
			state = to
			continue
		}
		switch {
		case code == "40" && state == "STOPPING":
			return r.command.At
		case stop && code == "OK" && (to == "STOPPED" || to == "UNKNOWN"),
			!stop && code == "OK" && to == "RUNNING",
			code == "50" && (to == "BACKOFF" || to == "EXITED"),
			code == "40" && (from == "STARTING" && to != "RUNNING" || to == "EXITED"):
			return f.At
		}
	}
	return r.command.At
}

// rows takes an answer apart: name and result of each process; none if it has no rows.
func rows(text string) [][2]string {
	parts := strings.Split(text, " | ")
	var out [][2]string
	for _, part := range parts[1:] {
		name, result, _ := strings.Cut(part, "=")
		out = append(out, [2]string{name, result})
	}
	return out
}
