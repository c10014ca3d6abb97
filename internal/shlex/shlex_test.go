package shlex

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"math/rand"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var seed = flag.Int64("seed", 0, "seed of the random tests; 0 = from the clock")

// answer is what one reading makes of a text: tokens, or an error text.
type answer struct {
	tokens []string
	err    string
}

func (a *answer) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, &a.err)
	}
	return json.Unmarshal(b, &a.tokens)
}

// recorded is one line of testdata/cases.jsonl.gz and one answer of testdata/live.py.
type recorded struct {
	In                   string
	Split, Posix, Legacy answer
}

const extraWordChars = "/.+-():"

func check(t *testing.T, c recorded) {
	t.Helper()
	compare := func(reading string, want answer, got []string, err error) {
		t.Helper()
		switch {
		case err != nil && err.Error() != want.err:
			t.Errorf("%s %q: error %v, Python says %v%s", reading, c.In, err, want.tokens, want.err)
		case err == nil && want.err != "":
			t.Errorf("%s %q: %q, Python fails: %s", reading, c.In, got, want.err)
		case err == nil && !(len(got) == 0 && len(want.tokens) == 0) && !reflect.DeepEqual(got, want.tokens):
			t.Errorf("%s %q: %q, Python says %q", reading, c.In, got, want.tokens)
		}
	}
	got, err := Split(c.In)
	compare("split", c.Split, got, err)
	got, err = Lexer{Posix: true, Comments: true, WordChars: extraWordChars}.Tokens(c.In)
	compare("posix", c.Posix, got, err)
	got, err = Lexer{Comments: true, WordChars: extraWordChars}.Tokens(c.In)
	compare("legacy", c.Legacy, got, err)
}

func TestRecorded(t *testing.T) {
	f, err := os.Open("testdata/cases.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(z); lines.Scan(); n++ {
		var c recorded
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		check(t, c)
	}
	if want := 43 + 20000 + 6 + 36 + 216 + 1296 + 7776; n != want {
		t.Errorf("read %d cases, want %d", n, want)
	}
}

// TestLive asks the Python of this machine about fresh random strings.
func TestLive(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("hidden: comparison with Python's shlex on fresh strings, because python3 is not installed")
	}
	s := *seed
	if s == 0 {
		s = time.Now().UnixNano()
	}
	t.Logf("seed %d", s)
	rnd := rand.New(rand.NewSource(s))
	alphabets := [][]rune{[]rune("ab1_'\"\\ #$;,|()`\n\t\r>&éß×÷\u00a0\u2028=:/.+-%😀"), []rune("a '\"\\=,#\n")}
	var in bytes.Buffer
	for i := range 2000 {
		alphabet := alphabets[i%2]
		text := make([]rune, rnd.Intn(14))
		for i := range text {
			text[i] = alphabet[rnd.Intn(len(alphabet))]
		}
		line, err := json.Marshal(string(text))
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd := exec.Command(python, "testdata/live.py")
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot run live.py: %v", err)
	}
	n := 0
	for line := range bytes.Lines(out) {
		var c recorded
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		check(t, c)
		n++
	}
	if n != 2000 {
		t.Errorf("got %d answers, want 2000", n)
	}
}

// TestInvalidUTF8 pins that foreign bytes pass through unchanged and never count as letters.
func TestInvalidUTF8(t *testing.T) {
	got, err := Split("a\xe9b 'c\xff'")
	if want := []string{"a\xe9b", "c\xff"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Split = %q, %v; want %q", got, err, want)
	}
	got, err = Lexer{Posix: true, WordChars: "\ufffd"}.Tokens("a\xe9b")
	if want := []string{"a", "\xe9", "b"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Tokens = %q, %v; want %q", got, err, want)
	}
}

// quote is the inverse of Split for one word: Python's shlex.quote.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'" }

// FuzzShlex checks that no text makes a reading panic, that quoted text survives Split, and that splitting is stable: the words of
// a text, quoted again, are the same words.
func FuzzShlex(f *testing.F) {
	for _, s := range []string{"a 'b c' d", `a "b\"c"`, `a\ b # c`, "é\"ü", "\xff\\", "a=b;c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := Split(quote(s)); err != nil || len(got) != 1 || got[0] != s {
			t.Errorf("Split(quote(%q)) = %q, %v", s, got, err)
		}
		words, err := Split(s)
		if err != nil && !errors.Is(err, ErrNoClosingQuotation) && !errors.Is(err, ErrNoEscapedCharacter) {
			t.Errorf("Split(%q): unknown error %v", s, err)
		}
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = quote(w)
		}
		if again, err := Split(strings.Join(quoted, " ")); err != nil || !reflect.DeepEqual(again, words) {
			t.Errorf("Split(%q) = %q, quoted and split again %q, %v", s, words, again, err)
		}
		for _, l := range []Lexer{{Posix: true, Comments: true, WordChars: extraWordChars}, {Comments: true, WordChars: extraWordChars}} {
			tokens, err := l.Tokens(s)
			if err == nil && utf8.ValidString(s) && len(strings.Join(tokens, "")) > len(s) {
				t.Errorf("%+v of %q grew: %q", l, s, tokens)
			}
		}
	})
}
