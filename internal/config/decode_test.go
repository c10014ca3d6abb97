package config

import (
	"strings"
	"testing"
)

// TestDecodeErrors pins Python's texts, whose positions count within a chunk and the unfinished character carried into it.
func TestDecodeErrors(t *testing.T) {
	pad := func(n int) string { return strings.Repeat("#", n) }
	for data, want := range map[string]string{
		"ab\xe2\x82x":               "bytes in position 2-3: invalid continuation byte",
		"ab\xe2\x82":                "bytes in position 0-1: unexpected end of data",
		"ab\xff":                    "byte 0xff in position 2: invalid start byte",
		"\xed\xa0\x80":              "byte 0xed in position 0: invalid continuation byte",
		"\xf0\x9f\x98":              "bytes in position 0-2: unexpected end of data",
		"\xf0\x9f\x98x":             "bytes in position 0-2: invalid continuation byte",
		"\xc0\xaf":                  "byte 0xc0 in position 0: invalid start byte",
		"\xf4\x90\x80\x80":          "byte 0xf4 in position 0: invalid continuation byte",
		pad(8191) + "\xe2\x82x":     "bytes in position 0-1: invalid continuation byte",
		pad(8191) + "€ab\xff":       "byte 0xff in position 5: invalid start byte",
		pad(8191) + "\xe2":          "byte 0xe2 in position 0: unexpected end of data",
		pad(8192) + "abc\xff":       "byte 0xff in position 3: invalid start byte",
		pad(8190) + "\xf0\x9f\x98x": "bytes in position 0-2: invalid continuation byte",
	} {
		text, _, err := decode([]byte(data))
		if err == nil || err.Error() != "'utf-8' codec can't decode "+want {
			t.Errorf("%d bytes ending in %q: %v, want %s", len(data), data[max(0, len(data)-6):], err, want)
		}
		if !strings.HasPrefix(data, text) {
			t.Errorf("%.20q: text %.20q", data, text)
		}
	}
	if text, _, err := decode([]byte(pad(8191) + "€\r\n\rx\r")); err != nil || text != pad(8191)+"€\n\nx\n" {
		t.Errorf("%.20q, %v", text[8190:], err)
	}
}
