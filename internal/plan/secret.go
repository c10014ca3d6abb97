package plan

import "strings"

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
	before, after = MaskURLs(d.Old), MaskURLs(d.New)
	return before, after, before != d.Old || after != d.New
}

// MaskURLs hides the passwords of scheme://user:password@host.
func MaskURLs(s string) string {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(s, "://")
		b.WriteString(head)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		end := strings.IndexAny(rest, "/ \t\n\"',")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			if colon := strings.IndexByte(rest[:at], ':'); colon >= 0 {
				b.WriteString(rest[:colon+1] + Hidden)
				rest = rest[at:]
			}
		}
		s = rest
	}
}
