package facts

import (
	"fmt"
	"strings"
)

// counts is the summary of a part of the table.
type counts struct{ facts, equal, different, absent, pending, tests int }

func count(facts []fact) (c counts) {
	tests := map[string]bool{}
	for _, f := range facts {
		c.facts++
		switch {
		case f.pending != "":
			c.pending++
		case f.notApplicable():
			c.absent++
		case f.different():
			c.different++
		default:
			c.equal++
		}
		for _, ref := range f.tests {
			tests[ref] = true
		}
	}
	c.tests = len(tests)
	return c
}

// render makes the page.
func render(table []area) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	total := count(all(table))
	line("# Compatibility with Supervisor\n")
	line("What Supervisor 4.2.5 does and files, clients and scripts rely on, fact by fact, and how each is proved for graced. This page is made from the")
	line("table in [internal/contract/facts](../internal/contract/facts) by `go test ./internal/contract/facts -rewrite`; the same test fails when a fact")
	line("has no proof, when a test that is named here does not exist, and when the page is not what the table says.\n")
	line("%d facts: in %d graced does the same, in %d it differs on purpose, %d do not apply to it. %d different proofs are named.\n",
		total.facts, total.equal, total.different, total.absent, total.tests)
	if total.pending > 0 {
		line("%d facts are not there yet.\n", total.pending)
	}
	line("| area | facts | same | different | do not apply |")
	line("|---|--:|--:|--:|--:|")
	for _, a := range table {
		c := count(all([]area{a}))
		line("| [%s](#%s) | %d | %d | %d | %d |", a.title, anchor(a.title), c.facts, c.equal, c.different, c.absent)
	}
	line("")
	line("A proof is a test of the package it stands before. `contract:NAME` is a session of `internal/contract` in which graced and the real Supervisor,")
	line("each with both clients, have to show the same; `config:TOPIC#TITLE` is a configuration that Supervisor was asked about. Most of what can be asked of")
	line("Supervisor is asked anew where it is installed, and compared with its recorded answers elsewhere. The letters with a number are the known oddities of")
	line("Supervisor; the shorter list of [deliberate differences](reference/differences.md) says the same from the user's side.")
	for _, a := range table {
		line("\n## %s", a.title)
		for _, t := range a.topics {
			line("\n### %s\n", t.title)
			line("| | fact | difference and reason | proof |")
			line("|---|---|---|---|")
			for _, f := range t.facts {
				line("| %s | %s | %s | %s |", strings.TrimPrefix(f.id, a.name+"."), cell(f.text), cell(f.verdict()), f.proof())
			}
		}
	}
	return b.String()
}

// anchor is the name by which a heading can be reached.
func anchor(title string) string {
	return strings.NewReplacer(" ", "-", ",", "", ":", "").Replace(strings.ToLower(title))
}

// cell makes a text fit into a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// verdict says what is different.
func (f fact) verdict() string {
	var parts []string
	for _, q := range f.quirks {
		part := q.id + " " + verdicts[q.verdict]
		if q.reason != "" {
			part += ": " + q.reason
		}
		parts = append(parts, part)
	}
	for _, text := range []string{f.differs, f.absent} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

// proof lists the tests.
func (f fact) proof() string {
	var parts []string
	for _, ref := range f.tests {
		parts = append(parts, code(strings.TrimPrefix(ref, "internal/")))
	}
	if f.pending != "" {
		parts = append(parts, "not yet")
	}
	return strings.Join(parts, ", ")
}

// code quotes a reference, which may hold the quoting character itself.
func code(text string) string {
	if strings.Contains(text, "`") {
		return "`` " + cell(text) + " ``"
	}
	return "`" + cell(text) + "`"
}
