package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// chunkSize is how much of a file Python decodes at a time: positions in its errors count from the start of such a chunk.
const chunkSize = 8192

// decode returns the text of a file as Python reads it: UTF-8, with \r\n and \r as line ends. An undecodable byte ends the text before
// the chunk it is in and is returned as an error, with the 1-based line it is on; a reader comes across the lines before it first.
func decode(data []byte) (text string, line int, err error) {
	good := len(data)
	if !utf8.Valid(data) {
		// A chunk starts with the carry, the unfinished character at the end of the chunk before. After the last chunk comes an empty
		// one, in which a carry can no longer be finished.
		start, carry := 0, 0
		for {
			end := min(start+chunkSize, len(data))
			chunk := data[start-carry : end]
			bad, reason, length := firstInvalid(chunk, start == end)
			if reason != "" {
				good = start - carry
				line = 1 + bytes.Count(data[:good+bad], []byte("\n"))
				err = decodeError(chunk, bad, length, reason)
				break
			}
			start, carry = end, len(chunk)-bad
		}
	}
	text = strings.ReplaceAll(string(data[:good]), "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n"), line, err
}

// readable returns the text of a file with its line ends as decode has them, and a replacement for what is not UTF-8.
func readable(data []byte) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(string(data), "\ufffd"), "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n")
}

// firstInvalid returns where the first undecodable sequence of b starts, why and how long it is; reason "" means none, and then start
// is where an unfinished sequence at the end begins. With final an unfinished sequence is an error.
func firstInvalid(b []byte, final bool) (start int, reason string, length int) {
	for i := 0; i < len(b); {
		if r, size := utf8.DecodeRune(b[i:]); r != utf8.RuneError || size > 1 {
			i += size
			continue
		}
		want, lo, hi := sequence(b[i])
		if want == 0 {
			return i, "invalid start byte", 1
		}
		n := 1
		for ; n < want && i+n < len(b); n++ {
			if c := b[i+n]; n == 1 && (c < lo || c > hi) || c&0xc0 != 0x80 {
				return i, "invalid continuation byte", n
			}
		}
		if !final {
			return i, "", 0
		}
		return i, "unexpected end of data", n
	}
	return len(b), "", 0
}

// sequence returns the length of the UTF-8 sequence that c begins and the range of its second byte; 0 if none does.
func sequence(c byte) (n int, lo, hi byte) {
	switch {
	case 0xc2 <= c && c <= 0xdf:
		return 2, 0x80, 0xbf
	case c == 0xe0:
		return 3, 0xa0, 0xbf
	case c == 0xed:
		return 3, 0x80, 0x9f
	case 0xe1 <= c && c <= 0xef:
		return 3, 0x80, 0xbf
	case c == 0xf0:
		return 4, 0x90, 0xbf
	case c == 0xf4:
		return 4, 0x80, 0x8f
	case 0xf1 <= c && c <= 0xf3:
		return 4, 0x80, 0xbf
	}
	return 0, 0, 0
}

func decodeError(b []byte, start, length int, reason string) error {
	text := fmt.Sprintf("'utf-8' codec can't decode byte 0x%02x in position %d: %s", b[start], start, reason)
	if length > 1 {
		text = fmt.Sprintf("'utf-8' codec can't decode bytes in position %d-%d: %s", start, start+length-1, reason)
	}
	return &valueError{text, "save the file as UTF-8"}
}
