package report

import (
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"github.com/graced/graced/internal/config"
)

// place is a place in the forms for machines.
type place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Col    int    `json:"col"`
	EndCol int    `json:"end_col"`
	Label  string `json:"label"`
}

func placeOf(p config.Place) place { return place(p) }

type finding struct {
	Severity config.Severity `json:"severity"`
	Code     config.Code     `json:"code"`
	place
	Section string   `json:"section"`
	Option  string   `json:"option"`
	Title   string   `json:"title"`
	Notes   []string `json:"notes"`
	Related []place  `json:"related"`
}

// JSON prints the report as one object of the schema graced.check/v1 (docs/reference/schemas/check.v1.json).
func JSON(w io.Writer, r *config.Report, _ config.Machine) error {
	errs, warnings := r.Count()
	out := struct {
		Schema   string    `json:"schema"`
		File     string    `json:"file"`
		Files    int       `json:"files"`
		Programs int       `json:"programs"`
		Errors   int       `json:"errors"`
		Warnings int       `json:"warnings"`
		Findings []finding `json:"findings"`
	}{"graced.check/v1", r.Path, r.Files, r.Programs, errs, warnings, []finding{}}
	for _, f := range r.Findings {
		x := finding{Severity: f.Severity, Code: f.Code, place: placeOf(f.Place), Section: f.Section, Option: f.Key, Title: f.Title, Notes: append([]string{}, f.Notes...), Related: []place{}}
		for _, p := range f.Related {
			x.Related = append(x.Related, placeOf(p))
		}
		out.Findings = append(out.Findings, x)
	}
	return encode(w, out)
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// The parts of SARIF 2.1.0 that are used.
type (
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifLocation struct {
		ID       *int          `json:"id,omitempty"`
		Physical sarifPhysical `json:"physicalLocation"`
		Message  *sarifText    `json:"message,omitempty"`
	}
	sarifRule struct {
		ID    string    `json:"id"`
		Short sarifText `json:"shortDescription"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
		Related   []sarifLocation `json:"relatedLocations,omitempty"`
	}
)

// SARIF prints the report in the form that code hosts read, version 2.1.0. Files below the working directory are named relative to it.
func SARIF(w io.Writer, r *config.Report, m config.Machine) error {
	rules, index := []sarifRule{}, map[config.Code]int{}
	results := []sarifResult{}
	for _, f := range r.Findings {
		n, known := index[f.Code]
		if !known {
			n = len(rules)
			index[f.Code] = n
			rules = append(rules, sarifRule{string(f.Code), sarifText{config.KindOf(f.Code).Text}})
		}
		text := f.Title
		for _, more := range append([]string{f.Label}, f.Notes...) {
			if more != "" {
				text += "; " + more
			}
		}
		result := sarifResult{string(f.Code), n, string(f.Severity), sarifText{text}, []sarifLocation{sarifPlace(f.Place, m)}, nil}
		for i, p := range f.Related {
			at := sarifPlace(p, m)
			at.ID, at.Message = &i, &sarifText{p.Label}
			result.Related = append(result.Related, at)
		}
		results = append(results, result)
	}
	type object = map[string]any
	return encode(w, object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{
			"tool":       object{"driver": object{"name": "graced", "rules": rules}},
			"columnKind": "unicodeCodePoints", "results": results,
		}},
	})
}

func sarifPlace(p config.Place, m config.Machine) sarifLocation {
	file := strings.TrimPrefix(p.File, strings.TrimSuffix(m.Dir, "/")+"/")
	uri := (&url.URL{Path: file}).String()
	if strings.HasPrefix(file, "/") {
		uri = (&url.URL{Scheme: "file", Path: file}).String()
	}
	at := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{uri}}}
	if p.Line > 0 {
		at.Physical.Region = &sarifRegion{StartLine: p.Line}
		if p.Col > 0 {
			at.Physical.Region.StartColumn, at.Physical.Region.EndColumn = p.Col, p.EndCol
		}
	}
	return at
}
