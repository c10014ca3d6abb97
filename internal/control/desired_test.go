package control

import (
	"errors"
	"strings"
	"testing"
)

// TestCheckNote keeps notes on one line, and refuses what is too long or would be an order to a terminal.
func TestCheckNote(t *testing.T) {
	for note, want := range map[string]string{
		"": "", "debugging": "debugging", " two\nlines\tand\r\n more ": "two lines and more", strings.Repeat("ü", 500): strings.Repeat("ü", 500), "é – 😀": "é – 😀",
	} {
		if got, err := CheckNote(note); got != want || err != nil {
			t.Errorf("%q: %q, %v", note, got, err)
		}
	}
	for note, want := range map[string]string{
		strings.Repeat("ü", 501): "note: it has 501 characters, and 500 is the most", "a\x1b[2J": `note: '\x1b' is no character of a text`, "\xff": `note: '�' is no character of a text`,
		"a\u202eb": `note: '\u202e' is no character of a text`, "a\x00": `note: '\x00' is no character of a text`,
	} {
		_, err := CheckNote(note)
		var fault *Error
		if !errors.As(err, &fault) || fault.Code != IncorrectParameters || fault.Text != want {
			t.Errorf("%q: %v", note, err)
		}
	}
}
