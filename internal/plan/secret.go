package plan

import (
	"strings"

	"github.com/graced/graced/internal/process"
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

// Hidden stands for a value that is not shown.
const Hidden = process.Hidden

// Mask returns the old and the new value as they may be shown: hidden where the name of a variable says so, and without the secrets
// that stand in a command or a URL.
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
	before, after = process.HideSecrets(d.Old), process.HideSecrets(d.New)
	return before, after, before != d.Old || after != d.New
}
