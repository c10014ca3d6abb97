package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// yamlOf rewrites a JSON document as YAML 1.2: block style, members in their order. Texts are quoted as in JSON, of which YAML takes every
// one in double quotes, unless they are words that no reader can take for anything else. Only this direction is needed, and for documents
// of known shape alone, so there is no library behind it: those that exist compile patterns at every start of the program.
func yamlOf(document []byte) string {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var b strings.Builder
	yamlValue(&b, dec, 0, false)
	return b.String()
}

// yamlValue writes the next value of dec. Behind a "- " a block begins on the same line; behind a key it begins on the next one.
func yamlValue(b *strings.Builder, dec *json.Decoder, depth int, behindDash bool) {
	switch t := token(dec).(type) {
	case json.Delim:
		inMap := t == '{'
		if !dec.More() {
			token(dec)
			b.WriteString(map[bool]string{true: " {}\n", false: " []\n"}[inMap])
			return
		}
		sameLine := behindDash || depth == 0
		if !sameLine {
			b.WriteByte('\n')
		}
		for first := true; dec.More(); first = false {
			if behindDash && first {
				b.WriteByte(' ')
			} else {
				b.WriteString(strings.Repeat("  ", depth))
			}
			if inMap {
				key, _ := token(dec).(string)
				b.WriteString(yamlText(key) + ":")
			} else {
				b.WriteByte('-')
			}
			yamlValue(b, dec, depth+1, !inMap)
		}
		token(dec)
	case string:
		b.WriteString(" " + yamlText(t) + "\n")
	case json.Number:
		b.WriteString(" " + t.String() + "\n")
	case bool:
		b.WriteString(map[bool]string{true: " true\n", false: " false\n"}[t])
	default:
		b.WriteString(" null\n")
	}
}

func token(dec *json.Decoder) json.Token {
	t, err := dec.Token()
	if err != nil {
		panic("format: the encoder's own text is broken: " + err.Error())
	}
	return t
}

// yamlText writes a word as it is and everything else in quotes.
func yamlText(s string) string {
	plain := s != "" && isLetter(s[0])
	for i := 0; i < len(s) && plain; i++ {
		plain = isLetter(s[i]) || '0' <= s[i] && s[i] <= '9' || strings.IndexByte("_-./", s[i]) >= 0
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null": // YAML 1.1 takes these for something else
		plain = false
	}
	if plain {
		return s
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		// JSON takes these as they are, YAML only escaped.
		if 0x7f <= r && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&out, "\\u%04x", r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
