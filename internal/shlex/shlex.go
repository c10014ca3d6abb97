// Package shlex splits text as Python's shlex module does, because the commands and environments of a configuration file are
// defined by it: Split is what happens to a command line, Lexer is what the grammar of the option environment is built on.
//
// It owns the tokeniser alone: no quoting, no expansion, no shell. It is pure (standard library only), and config, host, daemon
// and ctl may import it.
package shlex

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// The errors of an unfinished text, with Python's words, which are visible on the wire.
var (
	ErrNoClosingQuotation = errors.New("No closing quotation")
	ErrNoEscapedCharacter = errors.New("No escaped character")
)

// Split returns the words of a command line (contract: process, "Spawning"): POSIX quoting, words separated by blank, tab and line
// ends only, no comments. It fails with ErrNoClosingQuotation or ErrNoEscapedCharacter.
func Split(s string) ([]string, error) {
	return Lexer{Posix: true, WhitespaceSplit: true}.Tokens(s)
}

// Lexer says how Tokens reads a text. The zero value is the old, non-POSIX reading: quotes stay part of a token and a backslash
// is a token of its own.
type Lexer struct {
	Posix           bool   // quotes and backslashes are resolved; Latin-1 letters are word characters
	WhitespaceSplit bool   // every character that is not blank belongs to a word
	Comments        bool   // # starts a comment up to the end of the line
	WordChars       string // word characters besides ASCII letters, digits and _
}

// Tokens returns the tokens of s in order. It fails with ErrNoClosingQuotation or ErrNoEscapedCharacter; the tokens found until
// then are lost, as in Python. Bytes that are not UTF-8 are kept as they are.
func (l Lexer) Tokens(s string) ([]string, error) {
	sc := scanner{Lexer: l, rest: s}
	var out []string
	for {
		token, ok, err := sc.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return out, nil
		}
		out = append(out, token)
	}
}

// The places in which a scanner can be between two characters. A quote character stands for itself: inside that quotation.
const (
	between rune = ' '
	word    rune = 'a'
	escape  rune = '\\'
)

type scanner struct {
	Lexer
	rest    string
	pending string // a one-character token that ended the previous word
}

// next returns the next token, or false at the end of the text.
func (sc *scanner) next() (string, bool, error) {
	if sc.pending != "" {
		token := sc.pending
		sc.pending = ""
		return token, true, nil
	}
	var token strings.Builder
	quoted := false        // the token had a quotation, so it exists even if it is empty
	escapeIn := word       // where the escaped character belongs: in a word or in a quotation
	state := between       // every token starts here: what ends a token ends its state too
	for len(sc.rest) > 0 { // each turn consumes one character
		r, size := utf8.DecodeRuneInString(sc.rest)
		char := sc.rest[:size]
		sc.rest = sc.rest[size:]

		switch state {
		case between:
			switch {
			case isBlank(r):
			case sc.Comments && r == '#':
				sc.skipLine()
			case sc.Posix && r == escape:
				state, escapeIn = escape, word
			case sc.isWordChar(r, size):
				token.WriteString(char)
				state = word
			case isQuote(r):
				if !sc.Posix {
					token.WriteString(char)
				}
				state = r
			case sc.WhitespaceSplit:
				token.WriteString(char)
				state = word
			default:
				return char, true, nil
			}

		case '\'', '"':
			quoted = true
			switch {
			case r == state && !sc.Posix:
				return token.String() + char, true, nil
			case r == state:
				state = word
			case sc.Posix && r == escape && state == '"':
				state, escapeIn = escape, '"'
			default:
				token.WriteString(char)
			}

		case escape:
			// Inside a quotation only the quote and the backslash itself can be escaped; before others the backslash is text.
			if escapeIn != word && r != escape && r != escapeIn {
				token.WriteRune(escape)
			}
			token.WriteString(char)
			state = escapeIn

		case word:
			switch {
			case isBlank(r):
				return token.String(), true, nil
			case sc.Comments && r == '#':
				sc.skipLine()
				// Without POSIX rules the word goes on in the next line, as in Python.
				if sc.Posix {
					return token.String(), true, nil
				}
			case sc.Posix && isQuote(r):
				state = r
			case sc.Posix && r == escape:
				state, escapeIn = escape, word
			case sc.WhitespaceSplit || isQuote(r) || sc.isWordChar(r, size):
				token.WriteString(char)
			default:
				sc.pending = char
				return token.String(), true, nil
			}
		}
	}

	switch state {
	case '\'', '"':
		return "", false, ErrNoClosingQuotation
	case escape:
		return "", false, ErrNoEscapedCharacter
	}
	return token.String(), quoted || token.Len() > 0, nil
}

func (sc *scanner) skipLine() {
	_, sc.rest, _ = strings.Cut(sc.rest, "\n")
}

func (sc *scanner) isWordChar(r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size == 1:
		return false
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_':
		return true
	case sc.Posix && 'À' <= r && r <= 'ÿ' && r != '×' && r != '÷':
		return true
	}
	return strings.ContainsRune(sc.WordChars, r)
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

func isQuote(r rune) bool { return r == '\'' || r == '"' }
