package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"
)

var errCrashed = errors.New("the machine is gone")

// memDisk is a disk that can crash after any number of steps, fail, and lose what was not synced. A step is one call or one byte that is written.
type memDisk struct {
	mu      sync.Mutex
	files   map[string]*inode
	durable map[string]*inode // the directory when it was last synced
	steps   int               // left until the crash; negative: none comes
	taken   int
	calls   map[string]int
	within  map[int]bool // the steps that are bytes of a temporary file
	dead    bool
	fail    error             // what writing calls return; nil: they work
	partial int               // bytes that a failing write writes all the same
	inUse   bool              // locked by somebody else
	broken  map[string]error  // of single calls: "link", "rename", "lock", "read NAME", "sync", "truncate", "create", "journal"
	onSync  func(name string) // called while a file is being synced
}

// inode is the content of a file, as it is and as it was when it was last synced.
type inode struct {
	name         string
	data, synced []byte
}

func newMemDisk() *memDisk {
	return &memDisk{files: map[string]*inode{}, durable: map[string]*inode{}, steps: -1, broken: map[string]error{}, calls: map[string]int{}}
}

// with returns a disk that has these files, safely.
func (d *memDisk) with(files map[string]string) *memDisk {
	for name, text := range files {
		d.files[name] = &inode{name, []byte(text), []byte(text)}
	}
	d.durable = maps.Clone(d.files)
	return d
}

// afterKill is the disk after the death of the daemon: all that was written is there.
func (d *memDisk) afterKill() *memDisk {
	out := newMemDisk()
	for name, i := range d.files {
		out.files[name] = &inode{name, slices.Clone(i.data), slices.Clone(i.data)}
	}
	out.durable = maps.Clone(out.files)
	return out
}

// afterPowerLoss is the disk after the death of the machine: of what was not synced there is what keep chooses, a number of bytes up to n.
func (d *memDisk) afterPowerLoss(keep func(n int) int) *memDisk {
	dir := d.durable
	if keep(1) == 1 {
		dir = d.files
	}
	out := newMemDisk()
	for name, i := range dir {
		data := slices.Clone(i.synced)
		switch {
		case len(i.data) >= len(i.synced) && string(i.data[:len(i.synced)]) == string(i.synced):
			data = append(data, i.data[len(i.synced):len(i.synced)+keep(len(i.data)-len(i.synced))]...)
		case keep(1) == 1:
			data = slices.Clone(i.data)
		}
		out.files[name] = &inode{name, data, slices.Clone(data)}
	}
	out.durable = maps.Clone(out.files)
	return out
}

// step takes one step; an error is that the disk is dead, or what the call shall return.
func (d *memDisk) step(call string, writes bool) error {
	d.taken++
	d.calls[call]++
	if d.steps == 0 {
		d.dead = true
	}
	if d.dead {
		return errCrashed
	}
	if d.steps > 0 {
		d.steps--
	}
	if err := d.broken[call]; err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	if writes && d.fail != nil {
		return fmt.Errorf("%s: %w", call, d.fail)
	}
	return nil
}

func (d *memDisk) path(name string) string { return "/state/" + name }

func (d *memDisk) prepare() (string, error) { return "", nil }

func (d *memDisk) lock() (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inUse {
		return nil, ErrInUse
	}
	if err := d.step("lock", true); err != nil {
		return nil, fmt.Errorf("%w: %v", errNoLock, err)
	}
	return func() {}, nil
}

func (d *memDisk) read(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("read "+name, false); err != nil {
		return nil, err
	}
	i, ok := d.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(i.data), nil
}

func (d *memDisk) exists(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.files[name]
	return ok
}

func (d *memDisk) open(call, name string, fresh bool) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(call, true); err != nil {
		return nil, err
	}
	if _, ok := d.files[name]; !ok || fresh {
		d.files[name] = &inode{name: name}
	}
	return &memFile{d, d.files[name]}, nil
}

func (d *memDisk) create(name string) (file, error)  { return d.open("create", name, true) }
func (d *memDisk) journal(name string) (file, error) { return d.open("journal", name, false) }

func (d *memDisk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("rename", true); err != nil {
		return err
	}
	i, ok := d.files[from]
	if !ok {
		return fs.ErrNotExist
	}
	delete(d.files, from)
	d.files[to] = i
	return nil
}

func (d *memDisk) link(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("link", true); err != nil {
		return err
	}
	if _, ok := d.files[to]; ok {
		return fs.ErrExist
	}
	d.files[to] = d.files[from]
	return nil
}

func (d *memDisk) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.step("remove", true) == nil {
		delete(d.files, name)
	}
}

func (d *memDisk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("sync", true); err != nil {
		return err
	}
	d.durable = maps.Clone(d.files)
	return nil
}

// text returns the content of a file, "" for none.
func (d *memDisk) text(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.files[name]; ok {
		return string(i.data)
	}
	return ""
}

// names returns the files there are, in order.
func (d *memDisk) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.files))
}

type memFile struct {
	d *memDisk
	i *inode
}

func (f *memFile) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step("write", false); err != nil {
		return 0, err
	}
	n := len(p)
	var err error
	switch {
	case f.d.steps >= 0 && f.d.steps < n:
		n, f.d.dead, err = f.d.steps, true, errCrashed
	case f.d.fail != nil:
		n, err = min(n, f.d.partial), f.d.fail
	case f.d.broken["write "+f.i.name] != nil:
		n, err = min(n, f.d.partial), f.d.broken["write "+f.i.name]
	}
	if f.d.steps > 0 {
		f.d.steps -= n
	}
	for i := range n {
		if f.i.name == tempName && f.d.within != nil {
			f.d.within[f.d.taken+i] = true
		}
	}
	f.d.taken += n
	f.i.data = append(f.i.data, p[:n]...)
	return n, err
}

func (f *memFile) Sync() error {
	if f.d.onSync != nil {
		f.d.onSync(f.i.name)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step("fsync", true); err != nil {
		return err
	}
	f.i.synced = slices.Clone(f.i.data)
	return nil
}

func (f *memFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step("truncate", true); err != nil {
		return err
	}
	f.i.data = slices.Clone(f.i.data[:size])
	return nil
}

func (f *memFile) Close() error { return nil }

// full and readOnly are what such a file system says.
var (
	full     error = syscall.ENOSPC
	readOnly error = syscall.EROFS
)
