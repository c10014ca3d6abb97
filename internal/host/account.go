package host

// Account returns the primary group of a user and all groups that list it, the primary one first (contract: daemon, "User switch"). ok is false
// for a uid that /etc/passwd does not know.
func Account(uid int) (gid int, groups []int, ok bool) {
	var db userDB
	u, ok := db.lookup(uid)
	for _, g := range u.groups {
		groups = append(groups, int(g))
	}
	return int(u.gid), groups, ok
}
