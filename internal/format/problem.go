package format

import (
	"encoding/json"
	"strings"
)

const (
	problemSchema = "graced.error/v1"
	warningSchema = "graced.warning/v1"
)

// Problem is why a verb has stopped. It is the error that verbs return; the codes are listed in docs/reference/output.md.
type Problem struct {
	Code      string `json:"code"`                // "E301": never used for anything else
	Title     string `json:"title"`               // what the code means, the same for each of its problems
	Detail    string `json:"detail"`              // what happened, in lower case, with the value that was wrong
	Hint      string `json:"hint,omitempty"`      // what can be done about it; lines without indentation
	FaultCode int    `json:"faultCode,omitempty"` // the fault of the XML-RPC interface behind it; 0 = none
	// Findings is what a check of the files has found, as in graced.check/v1, and FindingsText the same for people, which says all that Detail does.
	Findings     json.RawMessage `json:"findings,omitempty"`
	FindingsText string          `json:"-"`
	Exit         int             `json:"-"` // the exit status of the program; 1 when it is 0
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// block is the form for people.
func (p *Problem) block(style Style) string {
	var b strings.Builder
	text := p.Detail
	if p.FindingsText != "" {
		text = p.Title
	}
	b.WriteString(style.Paint(Red, "error["+p.Code+"]:") + " " + text + "\n")
	if p.Hint != "" {
		for _, line := range strings.Split(p.Hint, "\n") {
			b.WriteString("  " + line + "\n")
		}
	}
	if p.FindingsText != "" {
		b.WriteString("\n" + p.FindingsText)
	}
	return b.String()
}
