package process

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Hidden stands for a value that is not shown.
const Hidden = "•••"

// ShownSecret is a secret that stands in a text such as a command or a URL. From and To are around what says so: the name that it has, or the secret
// itself; Start and End are around its value.
type ShownSecret struct{ From, To, Start, End int }

// namedSecret finds a name that is said to be that of a secret, before its value: --password=x, --token x, API_KEY=x, ?secret=x. The name has to end
// with the word: --token-file and --max-tokens are about something else.
const namedSecret = `(?i)(?:^|[\s"'?&;(])((-{0,2})[a-z0-9_.-]*(?:password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|secret[-_]?key))(=|[ \t]+)`

// headerSecret finds a header that lets its sender in, before the value: Authorization: Bearer x, X-Api-Key: x.
const headerSecret = `(?i)(?:^|[\s"'=]|-H)((?:proxy-)?authorization|x-[a-z0-9-]*(?:key|token|secret|password)|(?:private|job|deploy)-token|api-?key)[ \t]*([:=])[ \t]*((?:bearer|basic|token|apikey|negotiate|digest)[ \t]+)?`

// secretWords are in every text that one of these can find something in: looking for them takes less time.
var secretWords = []string{"passw", "passphrase", "secret", "token", "key", "authorization"}

// noSecrets are values that switch something on or off, or say how to authenticate.
var noSecrets = []string{
	"", "true", "false", "yes", "no", "on", "off", "none", "null", "auto", "ask", "prompt", "required", "optional", "0", "1",
	"bearer", "basic", "token", "apikey", "negotiate", "digest",
}

// ofNoSecret are words before "token" in the names of places in a list, and of what a text is made of, which are no secrets.
var ofNoSecret = []string{
	"page", "next", "nextpage", "prev", "previous", "continuation", "continue", "start", "sync", "resume", "cursor", "pagination", "max", "min", "num",
	"eos", "bos", "pad", "unk", "sep", "cls", "mask", "stop", "special",
}

// ShownSecrets returns the secrets that stand in a text, by the places of their values. A value that comes from elsewhere is none: a variable, a path,
// something that is expanded.
func ShownSecrets(text string) []ShownSecret {
	found := urlSecrets(text)
	lower := strings.ToLower(text)
	if slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(lower, word) }) {
		found = append(found, namedSecrets(text)...)
	}
	slices.SortFunc(found, func(a, b ShownSecret) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End)) })
	end := -1
	return slices.DeleteFunc(found, func(s ShownSecret) bool { // --token=http://u:p@h: one is in the value of the other
		within := s.End <= end
		end = max(end, s.End)
		return within
	})
}

// namedSecrets finds those that have a name.
func namedSecrets(text string) (found []ShownSecret) {
	for _, at := range regexp.MustCompile(namedSecret).FindAllStringSubmatchIndex(text, -1) {
		name, dashes, sep := text[at[2]:at[3]], text[at[4]:at[5]], text[at[6]:at[7]]
		ends := " \t\r\n\"'"
		if at[2] > 0 && strings.ContainsRune("?&", rune(text[at[2]-1])) {
			ends += "&#;|)"
		}
		start, end := quotedAt(text, at[1])
		if end < 0 {
			start, end = valueAt(text, at[1], ends)
		}
		if value := text[start:end]; (sep == "=" || dashes != "") && !OfList(name) && secretValue(value) && !isPath(value) && !strings.HasPrefix(value, "-") {
			found = append(found, ShownSecret{at[2], at[3], start, end})
		}
	}
	if !strings.ContainsAny(text, ":=") {
		return found
	}
	for _, at := range regexp.MustCompile(headerSecret).FindAllStringSubmatchIndex(text, -1) {
		start, end := valueAt(text, at[1], " \t\r\n\"'")
		if (text[at[4]:at[5]] == ":" || at[6] >= 0) && secretValue(text[start:end]) {
			found = append(found, ShownSecret{at[2], at[3], start, end})
		}
	}
	return found
}

// urlSecrets finds the passwords of URLs.
func urlSecrets(text string) (found []ShownSecret) {
	for at := 0; ; {
		n := strings.Index(text[at:], "://")
		if n < 0 {
			return found
		}
		at += n + len("://")
		if from, to := urlPassword(text[at:]); to > from && secretValue(text[at+from:at+to]) {
			found = append(found, ShownSecret{at + from, at + to, at + from, at + to})
		}
	}
}

// HideSecrets writes a text without the secrets that stand in it.
func HideSecrets(text string) string {
	var b strings.Builder
	done := 0
	for _, s := range ShownSecrets(text) {
		if s.Start >= done {
			b.WriteString(text[done:s.Start] + Hidden)
		}
		done = max(done, s.End)
	}
	return b.String() + text[done:]
}

// OfList reports whether what ends with "token" is the name of a place in a list, such as page_token, or of a piece of text.
func OfList(name string) bool {
	stem := strings.TrimRight(name, "-_.")
	if len(stem) < len("token") || !strings.EqualFold(stem[len(stem)-len("token"):], "token") {
		return false
	}
	stem = strings.TrimRight(stem[:len(stem)-len("token")], "-_.")
	word := stem[strings.LastIndexAny(stem, "-_.")+1:]
	hump := word[strings.LastIndexFunc(word, unicode.IsUpper)+1:]
	if i := len(word) - len(hump) - 1; i >= 0 && hump != "" {
		hump = word[i:] // nextPage
	}
	return slices.Contains(ofNoSecret, strings.ToLower(word)) || slices.Contains(ofNoSecret, strings.ToLower(hump))
}

// quotedAt returns what stands in the quotes that open at a place; end is -1 if none do, or they never close.
func quotedAt(text string, at int) (start, end int) {
	if at == len(text) || text[at] != '"' && text[at] != '\'' {
		return at, -1
	}
	n := strings.IndexByte(text[at+1:], text[at])
	if n < 0 {
		return at, -1
	}
	return at + 1, at + 1 + n
}

// valueAt returns the value that begins at a place, up to one of the characters that end it.
func valueAt(text string, at int, ends string) (start, end int) {
	if n := strings.IndexAny(text[at:], ends); n >= 0 {
		return at, at + n
	}
	return at, len(text)
}

// secretValue reports whether a value stands for itself.
func secretValue(s string) bool {
	from := slices.ContainsFunc([]string{"@", "env:", "file:", "fd:"}, func(p string) bool { return strings.HasPrefix(s, p) })
	return !from && !strings.ContainsAny(s, "$`<{") && !strings.Contains(s, "%(") && !slices.Contains(noSecrets, strings.ToLower(s))
}

func isPath(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "~")
}

// urlPassword returns where the password stands in what follows scheme://, as in user:password@host; 0, 0 without one. One with a slash in it is
// found where no port could stand in its place.
func urlPassword(rest string) (from, to int) {
	if end := strings.IndexAny(rest, " \t\r\n\"'`<>"); end >= 0 {
		rest = rest[:end]
	}
	if next := strings.Index(rest, "://"); next >= 0 { // redis://h:1,redis://h:2
		if comma := strings.LastIndexByte(rest[:next], ','); comma >= 0 && strings.Trim(strings.ToLower(rest[comma+1:next]), "abcdefghijklmnopqrstuvwxyz0123456789+.-") == "" {
			rest = rest[:comma]
		}
	}
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	colon, at := strings.IndexByte(host, ':'), strings.LastIndexByte(host, '@')
	if at < 0 && colon >= 0 && !strings.HasPrefix(host, "[") && strings.Trim(host[colon+1:], "0123456789") != "" {
		at = strings.IndexByte(rest, '@')
	}
	if colon < 0 || at < colon {
		return 0, 0
	}
	return colon + 1, at
}
