package host

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// userDB answers questions about users from /etc/passwd and /etc/group, read anew when they change. It asks no other source.
type userDB struct {
	mu      sync.Mutex
	passwd  fileStamp
	group   fileStamp
	byUID   map[int]userEntry
	members map[string][]uint32 // groups that list a user, in the order of the file
}

// userEntry is what a process needs to become a user.
type userEntry struct {
	name   string
	uid    uint32
	gid    uint32
	groups []uint32 // the primary one first
}

type fileStamp struct {
	modified time.Time
	size     int64
}

// lookup returns the first entry of uid.
func (db *userDB) lookup(uid int) (userEntry, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.refresh()
	u, ok := db.byUID[uid]
	if !ok {
		return u, false
	}
	// compat: the primary group comes first even if the file lists the user there again (contract: process, "Spawn").
	u.groups = append([]uint32{u.gid}, db.members[u.name]...)
	return u, true
}

func (db *userDB) refresh() {
	if changed(&db.passwd, "/etc/passwd") || db.byUID == nil {
		db.byUID = map[int]userEntry{}
		eachLine("/etc/passwd", func(f []string) {
			if len(f) < 4 {
				return
			}
			uid, uerr := strconv.ParseUint(f[2], 10, 32)
			gid, gerr := strconv.ParseUint(f[3], 10, 32)
			if uerr != nil || gerr != nil {
				return
			}
			if _, known := db.byUID[int(uid)]; !known {
				db.byUID[int(uid)] = userEntry{name: f[0], uid: uint32(uid), gid: uint32(gid)}
			}
		})
	}
	if changed(&db.group, "/etc/group") || db.members == nil {
		db.members = map[string][]uint32{}
		eachLine("/etc/group", func(f []string) {
			if len(f) < 4 {
				return
			}
			gid, err := strconv.ParseUint(f[2], 10, 32)
			if err != nil {
				return
			}
			for _, name := range strings.Split(f[3], ",") {
				if name != "" {
					db.members[name] = append(db.members[name], uint32(gid))
				}
			}
		})
	}
}

// changed reports whether the file differs from its stamp, and renews the stamp.
func changed(s *fileStamp, path string) bool {
	var now fileStamp
	if st, err := os.Stat(path); err == nil {
		now = fileStamp{st.ModTime(), st.Size()}
	}
	if now == *s {
		return false
	}
	*s = now
	return true
}

// eachLine calls fn with the fields of each line.
func eachLine(path string, fn func(fields []string)) {
	f, err := os.Open(path)
	if err != nil {
		return // no such users then
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fn(strings.Split(lines.Text(), ":"))
	}
}
