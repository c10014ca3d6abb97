package plan

import (
	"regexp"
	"strings"
)

// secretNames are parts of the names of variables whose values are nobody's business.
var secretNames = strings.Fields("PASS PWD SECRET TOKEN KEY CREDENTIAL DSN AUTH PRIVATE SALT COOKIE SIGNATURE")

// Secret reports whether a variable of that name is likely to hold a secret.
func Secret(variable string) bool {
	upper := strings.ToUpper(variable)
	for _, part := range secretNames {
		if strings.Contains(upper, part) {
			return true
		}
	}
	return false
}

var urlPassword = regexp.MustCompile(`(://[^/\s:@]*:)[^@/\s]+@`)

// Hidden stands for a value that is not shown.
const Hidden = "•••"

// Mask returns the old and the new value as they may be shown: hidden where the name of a variable says so, and without the passwords of URLs.
func (d Difference) Mask() (before, after string, hidden bool) {
	if d.Variable != "" && Secret(d.Variable) {
		hide := func(s string) string {
			if s == "" {
				return ""
			}
			return Hidden
		}
		return hide(d.Old), hide(d.New), true
	}
	mask := func(s string) string { return urlPassword.ReplaceAllString(s, "${1}"+Hidden+"@") }
	before, after = mask(d.Old), mask(d.New)
	return before, after, before != d.Old || after != d.New
}
