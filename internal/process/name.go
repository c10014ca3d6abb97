package process

import "strings"

// Namespec is the name of a process, or of all processes of a group, as written by users and on the wire (contract: rpc,
// "Namespec"): "g:p", "p" for the process p of the group p, "g:*" or "g:" for a whole group.
type Namespec struct {
	Group   string
	Process string // "" = every process of the group
}

// ParseNamespec splits s at its first colon. It never fails: any text names something, perhaps nothing that exists.
func ParseNamespec(s string) Namespec {
	group, name, found := strings.Cut(s, ":")
	switch {
	case !found:
		return Namespec{Group: s, Process: s}
	case name == "" || name == "*":
		return Namespec{Group: group}
	default:
		return Namespec{Group: group, Process: name}
	}
}

// WholeGroup reports whether the name stands for every process of its group.
func (n Namespec) WholeGroup() bool { return n.Process == "" }

// String returns the short form: "p" where group and process have one name, "g:p" otherwise, "g:*" for a group.
func (n Namespec) String() string {
	switch {
	case n.Process == "":
		return n.Group + ":*"
	case n.Group == n.Process:
		return n.Process
	default:
		return n.Group + ":" + n.Process
	}
}

// CompareNatural orders names as people count: runs of digits compare as numbers, so foo_2 comes before foo_10. Names that differ
// only in leading zeros are ordered as strings. It returns -1, 0 or 1.
func CompareNatural(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if isDigit(a[i]) && isDigit(b[j]) {
			si, sj := i, j
			for i < len(a) && isDigit(a[i]) {
				i++
			}
			for j < len(b) && isDigit(b[j]) {
				j++
			}
			x, y := strings.TrimLeft(a[si:i], "0"), strings.TrimLeft(b[sj:j], "0")
			if len(x) != len(y) {
				return sign(len(x) - len(y))
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
			continue
		}
		if a[i] != b[j] {
			return sign(int(a[i]) - int(b[j]))
		}
		i++
		j++
	}
	if c := sign((len(a) - i) - (len(b) - j)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
