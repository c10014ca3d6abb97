package format

import (
	"strings"
	"unicode/utf8"
)

// Style says what the reader's terminal can show. Nothing but colour depends on it.
type Style struct{ Colour bool }

// Colour is a colour of the terminal's own palette.
type Colour string

// The colours.
const (
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Faint  Colour = "2"
)

// Paint colours text, where the terminal shows colours.
func (s Style) Paint(c Colour, text string) string {
	if !s.Colour || c == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Cell is a field of a table.
type Cell struct {
	Text   string
	Colour Colour // "" = none
}

// Table lays rows out under a header, columns three spaces apart. A column without any text is left out; an empty cell of another shows "-",
// in the last column nothing.
func Table(style Style, header []string, rows [][]Cell) string {
	widths := make([]int, len(header))
	last := 0
	for column := range header {
		for _, row := range rows {
			if n := utf8.RuneCountInString(row[column].Text); n > 0 {
				widths[column] = max(widths[column], n, utf8.RuneCountInString(header[column]))
				last = column
			}
		}
	}
	var b strings.Builder
	line := func(cells []Cell) {
		var l strings.Builder
		gap := 0
		for column, cell := range cells {
			if widths[column] == 0 {
				continue
			}
			if cell.Text == "" && column < last {
				cell.Text = "-"
			}
			l.WriteString(strings.Repeat(" ", gap) + style.Paint(cell.Colour, cell.Text))
			gap = widths[column] - utf8.RuneCountInString(cell.Text) + 3
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	head := make([]Cell, len(header))
	for column, text := range header {
		head[column] = Cell{Text: text, Colour: Faint}
	}
	line(head)
	for _, row := range rows {
		line(row)
	}
	return b.String()
}
