package process

import "strings"

// Secret is a variable whose value is the content of a file, read at each start: the value itself is never part of a Spec.
type Secret struct {
	Key  string
	Path string // absolute
}

// SecretsText writes secrets as a configuration file spells them.
func SecretsText(list []Secret) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = s.Key + "=" + s.Path
	}
	return strings.Join(words, ", ")
}

// IsVariable reports whether a word can be the name of a variable.
func IsVariable(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
