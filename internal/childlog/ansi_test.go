package childlog

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func stripWhole(text string) string {
	var s ansiStripper
	return string(s.flush(s.appendTo(nil, []byte(text))))
}

func TestStripANSI(t *testing.T) {
	long := strings.Repeat("x", ansiMax)
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "plain é\n", "plain é\n"},
		{"colours", "\x1b[31mred\x1b[0m \x1b[38;5;12mblue\x1b[m", "red blue"},
		{"finals that Supervisor does not know", "a\x1b[5Gb\x1b[3dc\x1b[1;1qd\x1b[~e", "abcde"},
		{"private and intermediate", "\x1b[?25lx\x1b[1 qy\x1b[>c", "xy"},
		{"a parameter behind an intermediate", "\x1b[ 1m", "\x1b[ 1m"},
		{"title, ended by BEL", "\x1b]0;title\x07text", "text"},
		{"link, ended by ST", "\x1b]8;;http://example.com/é\x1b\\link\x1b]8;;\x1b\\.", "link."},
		{"device string", "\x1bP1$r0m\x1b\\a\x1b_app\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", "abcd"},
		{"BEL does not end a device string", "\x1bPx\x07y", "\x1bPx\x07y"},
		{"other escapes", "\x1b(B\x1b7\x1b8\x1b=\x1bc\x1bM\x1b#8\x1b%Gtext", "text"},
		{"a newline interrupts", "\x1b[3\nnext\x1b]0;open\nnext\x1b\n", "\x1b[3\nnext\x1b]0;open\nnext\x1b\n"},
		{"a sequence interrupts", "\x1b[3\x1b[1mx\x1b]0;a\x1b[1my\x1b\x1b[1mz", "\x1b[3x\x1b]0;ay\x1bz"},
		{"cut off", "text\x1b[", "text\x1b["},
		{"cut off string", "text\x1b]0;tit\x1b", "text\x1b]0;tit\x1b"},
		{"a character outside ASCII in a control sequence", "\x1b[é", "\x1b[é"},
		{"too long", "\x1b]0;" + long + "\x07after\x1b[1m", "\x1b]0;" + long + "\x07after"},
	} {
		if got := stripWhole(c.text); got != c.want {
			t.Errorf("%s: %q gives %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

// sequence is the same grammar once more, for texts that are shorter than ansiMax.
var sequence = regexp.MustCompile(`\x1b(?:` +
	`\[[0-?]*[ -/]*[@-~]` +
	`|\][^\x00-\x1f\x7f]*(?:\x07|\x1b\\)` +
	`|[PX^_][^\x00-\x1f\x7f]*\x1b\\` +
	`|[ -/]+[0-~]` +
	`|[0-OQ-WYZ\\` + "`" + `-~])`)

// FuzzStripANSI compares with the expression, for texts cut into pieces of any size.
func FuzzStripANSI(f *testing.F) {
	for _, text := range []string{"\x1b[31mred\x1b[0m", "\x1b]0;t\x07x\x1b]8;;u\x1b\\y", "\x1bP\x1b\\\x1b(B\x1b[3\x1b[1m", "\x1b]a\x1bb\x1b[\xff\x1b[ 1m\x1b"} {
		f.Add([]byte(text), byte(1))
		f.Add([]byte(text), byte(7))
	}
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		var s ansiStripper
		var got []byte
		for rest := text; len(rest) > 0; {
			n := min(len(rest), 1+int(size))
			if s.idle(rest[:n]) {
				got = append(got, rest[:n]...)
			} else {
				got = s.appendTo(got, rest[:n])
			}
			rest = rest[n:]
			if len(s.begun) > ansiMax {
				t.Fatalf("%d bytes are held back", len(s.begun))
			}
		}
		got = s.flush(got)
		if len(text) <= ansiMax {
			if want := sequence.ReplaceAll(text, nil); !bytes.Equal(got, want) {
				t.Errorf("%q in pieces of %d gives %q, want %q", text, 1+int(size), got, want)
			}
		}
	})
}

// FuzzCapture compares what comes of an output in pieces with what comes of the whole.
func FuzzCapture(f *testing.F) {
	for _, text := range []string{captureBegin + "a" + captureEnd, "<!--XSUPERVISOR:<!--XSUPERVISOR:BEGIN-->" + captureBegin + captureEnd + captureEnd, "<<!--"} {
		f.Add([]byte(text), byte(0))
		f.Add([]byte(text), byte(5))
	}
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		play := func(size int) (outside, inside, ends string, tags int) {
			var c capture
			take := func(data []byte, captured bool) {
				if captured {
					inside += string(data)
				} else {
					outside += string(data)
				}
			}
			for rest := text; len(rest) > 0; {
				n := min(len(rest), size)
				c.split(rest[:n], take, func() { ends += inside + "|" })
				rest = rest[n:]
				if len(c.pending) >= len(captureBegin) {
					t.Fatalf("%d bytes are held back", len(c.pending))
				}
			}
			take(c.pending, c.inside)
			tags = strings.Count(ends, "|") * (len(captureBegin) + len(captureEnd))
			if c.inside {
				tags += len(captureBegin)
			}
			return
		}
		o, i, e, tags := play(1 + int(size))
		wo, wi, we, _ := play(1 + len(text))
		if o != wo || i != wi || e != we {
			t.Errorf("%q in pieces of %d: %q %q %q, want %q %q %q", text, 1+int(size), o, i, e, wo, wi, we)
		}
		if got := len(o) + len(i) + tags; got != len(text) && !strings.Contains(i, "|") {
			t.Errorf("%q: %d bytes and tags of %d came out", text, got, len(text))
		}
	})
}
