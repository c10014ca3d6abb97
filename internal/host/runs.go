package host

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// runs notes, in memory that outlives this daemon, the process groups of the commands that it runs. A command ends with the daemon that waits for it; what
// the command has started does not, and the next daemon ends that.
type runs struct {
	mu    sync.Mutex
	file  *os.File // nil: nobody comes after this daemon
	taken []bool   // by place
}

const (
	runsKey = "runs" // what a keeper holds it under
	runSize = 16     // bytes of a place: pid of the leader, and its start time
)

// openRuns takes up what a daemon before has left, and ends it.
func (h *Local) openRuns() error {
	if !h.parent.outlives() {
		return nil
	}
	fd := h.parent.inherit(runsKey)
	if fd < 0 {
		var err error
		if fd, err = Memory(runsKey); err != nil {
			return err
		}
		h.parent.keep(runsKey, fd)
	}
	h.runs.file = os.NewFile(uintptr(fd), runsKey)
	return endRuns(h.runs.file)
}

// endRuns kills the groups that are noted, and forgets them.
func endRuns(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	data := make([]byte, info.Size())
	if _, err := file.ReadAt(data, 0); err != nil {
		return err
	}
	for place := range slices.Chunk(data, runSize) {
		if len(place) == runSize {
			endRun(int(binary.LittleEndian.Uint64(place)), binary.LittleEndian.Uint64(place[8:]))
		}
	}
	return file.Truncate(0)
}

// endRun kills a group. Its number is nobody else's while one of it lives, so it is only another's if its leader is.
func endRun(leader int, started uint64) {
	if leader <= 1 {
		return
	}
	if stat, err := ReadStat(leader); errors.Is(err, ErrGone) || err == nil && stat.StartTime == started {
		_ = unix.Kill(-leader, unix.SIGKILL) // all of it may have ended
	}
}

// begin notes a group, and returns the place where it is noted.
func (r *runs) begin(leader int) (place int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if place = slices.Index(r.taken, false); place < 0 {
		place = len(r.taken)
		r.taken = append(r.taken, false)
	}
	r.taken[place] = true
	r.write(place, leader, startTime(leader))
	return place
}

// end forgets a group.
func (r *runs) end(place int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[place] = false
	r.write(place, 0, 0)
}

func (r *runs) write(place, leader int, started uint64) {
	if r.file == nil {
		return
	}
	data := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(leader)), started)
	_, _ = r.file.WriteAt(data, int64(place)*runSize) // without memory a death of this daemon leaves a little more behind
}

func (r *runs) close() {
	if r.file != nil {
		_ = r.file.Close() // a keeper has a copy
	}
}
