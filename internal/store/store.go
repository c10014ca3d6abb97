package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/graced/graced/internal/process"
)

// The files of a store. Whatever is damaged is renamed to its name with badMark and a time behind it.
const (
	snapshotName = "state.json"
	journalName  = "journal.jsonl"
	tempName     = "state.json.new"
	badMark      = ".bad-"
)

// compactBytes is the size of a journal that is worth a new snapshot. A journal smaller than the snapshot is left alone, so that what
// snapshots cost stays in proportion to what is appended.
const compactBytes = 1 << 20

// Errors that callers tell apart, with errors.Is.
var (
	// ErrInUse is the only error of Open: another store has the directory.
	ErrInUse = errors.New("another daemon uses this state directory")
	// ErrNotKept is that of a setter whose change is in force in memory but did not reach the disk; the cause is wrapped as well. The next setter
	// or Compact that can write brings everything to the disk.
	ErrNotKept = errors.New("in force, but not kept on disk")
	// ErrInvalid is that of a setter that did nothing because of what it was given.
	ErrInvalid = errors.New("invalid")
	// ErrUnknown says that there is no generation of that number.
	ErrUnknown = errors.New("unknown")
	// ErrClosed is that of a setter after Close.
	ErrClosed = errors.New("the store is closed")
)

// Notice is something about the files that an administrator should know. The store goes on without help.
type Notice struct {
	File string // path; "" = none
	Line int    // 1-based; 0 = the file as a whole
	Text string
}

// String returns "file:line: text", as far as there is a file and a line.
func (n Notice) String() string {
	switch {
	case n.File == "":
		return n.Text
	case n.Line == 0:
		return n.File + ": " + n.Text
	default:
		return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Text)
	}
}

// Limits says how much history is kept. Zero or less stands for the default.
type Limits struct {
	Generations int // default 100
	Operations  int // default 200
}

// Store is the durable state of one daemon. Any number of goroutines may use it. Getters return copies, never wait for a disk and go on working
// after Close. Setters wait for each other and for the disk: a loop that must not wait calls them from a goroutine of its own. A getter
// may see a change before it is on disk.
type Store struct {
	now  func() time.Time
	disk disk // nil: everything lives in memory

	writing sync.Mutex // held by setters; guards what follows. Who holds it may read the tables without mu, since only setters change them.
	closed  bool
	release func() // of the lock of the directory; nil: not locked
	log     file   // the journal; nil: not open
	logSize int64
	next    int64 // size of the journal at which a snapshot is due
	// Files whose content is not to be written over: they are set aside before that.
	badSnapshot, badJournal bool
	limits                  Limits

	mu         sync.RWMutex // guards what follows; held for moments only
	lag        error        // why the disk is behind; nil: it is not
	seq        uint64       // number of the last change
	tables     []tabler     // in the order of the snapshot
	opaque     map[[2]string]record
	overrides  *table[Override]
	marks      *table[Mark]
	operations *table[Operation]
	lines      *table[storedLine]
	groups     *table[storedGroup]
	history    *table[storedGeneration]
}

// Open opens the store of a directory, which is made where it is missing; dir "" is a store that lives in memory alone. now says when things
// happened; nil is time.Now. The only error is ErrInUse, with the other's pid where it is known. Whatever else is wrong is told in notices, and
// the store has what could be read: where nothing can be written, setters return ErrNotKept.
func Open(dir string, now func() time.Time) (*Store, []Notice, error) {
	if now == nil {
		now = time.Now
	}
	if dir == "" {
		return newStore(nil, now), nil, nil
	}
	return open(osDisk{dir}, now)
}

func newStore(d disk, now func() time.Time) *Store {
	s := &Store{
		now: now, disk: d, opaque: map[[2]string]record{},
		overrides:  newTable("override", 1, Override.key),
		marks:      newTable("mark", 1, Mark.key),
		operations: newTable("operation", 1, Operation.key),
		lines:      newTable("line", 1, storedLine.key),
		groups:     newTable("group", 1, storedGroup.key),
		history:    newTable("generation", 1, storedGeneration.key),
	}
	// Of a damaged snapshot the beginning is kept: what says how things shall be comes before what says how they were, and a generation after the
	// groups that it consists of.
	s.tables = []tabler{s.overrides, s.marks, s.operations, s.lines, s.groups, s.history}
	s.limits = Limits{}.withDefaults()
	return s
}

func open(d disk, now func() time.Time) (*Store, []Notice, error) {
	s := newStore(d, now)
	var notices []Notice
	note := func(name string, line int, format string, args ...any) {
		n := Notice{Line: line, Text: fmt.Sprintf(format, args...)}
		if name != "" {
			n.File = d.path(name)
		}
		notices = append(notices, n)
	}
	warning, err := d.prepare()
	if err != nil {
		// Whatever may turn out to be in it is not ours to write over.
		s.badSnapshot, s.badJournal, s.lag = true, true, err
		note("", 0, "there is no state directory, changes cannot be kept on disk: %v", err)
		return s, notices, nil
	}
	if warning != "" {
		note("", 0, "state directory: %s", warning)
	}
	if err := s.takeLock(); errors.Is(err, ErrInUse) {
		return nil, nil, err
	} else if err != nil {
		note("", 0, "%v", err)
	}

	sound := s.load(note)
	s.dropOrphans()
	if sound {
		err = s.openJournal()
	} else {
		err = s.rewrite(func(from, to string) { note(from, 0, "set aside as %s", d.path(to)) })
	}
	if err != nil {
		s.lag = err
		note("", 0, "changes cannot be kept on disk: %v", err)
	}
	return s, notices, nil
}

// load reads both files. It reports whether the disk is as the store is, so that the journal can be continued.
func (s *Store) load(note func(name string, line int, format string, args ...any)) (sound bool) {
	sound = true
	data, err := s.disk.read(snapshotName)
	known := err == nil
	fresh := errors.Is(err, fs.ErrNotExist)
	if err == nil {
		h, headed, records, bad := parseSnapshot(data)
		s.seq, known = h.Seq, headed
		for _, r := range records {
			s.load1(snapshotName, r, note)
		}
		if bad != nil {
			note(snapshotName, bad.line, "%s; the records before it are kept", bad.text)
			s.badSnapshot = true
		}
	} else if !fresh {
		note(snapshotName, 0, "cannot be read: %v", err)
		s.badSnapshot = true
	}

	data, err = s.disk.read(journalName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case err != nil:
		note(journalName, 0, "cannot be read: %v", err)
		s.badJournal = true
		return false
	}
	records, good, bad := parseJournal(data, s.seq, known)
	for _, r := range records {
		if !known || r.Seq > s.seq {
			s.seq, known = r.Seq, true
			s.load1(journalName, r, note)
		}
	}
	s.logSize = int64(good)
	if bad != nil {
		note(journalName, bad.line, "%s; the changes before it are kept", bad.text)
		s.badJournal = true
	} else if torn := len(data) - good; torn > 0 {
		note(journalName, len(records)+1, "the last change was cut off after %d bytes and is dropped", torn)
		sound = false
	}
	if n := len(records); n > 0 && records[n-1].Seq < s.seq {
		// The machine died before the journal was emptied, and with changes of it that were only written. The next one would not follow.
		sound = false
	}
	if fresh {
		note(snapshotName, 0, "is missing; what %s says is kept", journalName)
	}
	return sound && !fresh && !s.badSnapshot && !s.badJournal
}

// load1 takes one record over from a file. One that makes no sense to this program is kept as it is.
func (s *Store) load1(name string, r record, note func(name string, line int, format string, args ...any)) {
	if err := s.apply(r); err != nil {
		note(name, 0, "%s %s: %v; it is kept as it is", r.Kind, r.Key, err)
	}
}

// apply makes a record true in memory. A record that has an error is kept, but nothing sees it.
func (s *Store) apply(r record) error {
	at := [2]string{r.Kind, r.Key}
	delete(s.opaque, at)
	i := slices.IndexFunc(s.tables, func(t tabler) bool { return t.kindName() == r.Kind })
	if i >= 0 {
		s.tables[i].remove(r.Key)
	}
	if r.Gone {
		return nil
	}
	var err error
	if i >= 0 {
		if err = s.tables[i].put(r); err == nil {
			return nil
		}
	}
	s.opaque[at] = r
	return err
}

// change is what every setter is: prepare looks at the tables and returns the records that make the change, none if there is none to make or
// it is refused. With durable, the change outlives a failing machine and not only a failing daemon.
func (s *Store) change(durable bool, prepare func() ([]record, error)) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return ErrClosed
	}
	records, err := prepare()
	if err != nil {
		return err
	}
	s.mu.Lock()
	for i := range records {
		s.seq++
		records[i].Seq, records[i].More = s.seq, i < len(records)-1
		if err = s.apply(records[i]); err != nil {
			panic(fmt.Sprintf("store: a record of its own: %v", err))
		}
	}
	s.mu.Unlock()
	return s.keep(records, durable)
}

// keep brings records to the disk, or everything where the disk is behind.
func (s *Store) keep(records []record, durable bool) error {
	switch {
	case s.disk == nil:
		return nil
	case s.lag != nil:
		return notKept(s.catchUp())
	case len(records) == 0:
		return nil
	}
	if err := s.claim(); err != nil {
		s.setLag(err)
		return notKept(err)
	}
	var lines []byte
	for _, r := range records {
		lines = append(append(lines, r.line()...), '\n')
	}
	// After any failure the end of the file is unknown, and after a failed sync its content: only a new snapshot helps.
	n, err := s.log.Write(lines)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	if err == nil && durable {
		err = s.log.Sync()
	}
	if err != nil {
		s.setLag(err)
		return notKept(err)
	}
	if s.logSize += int64(n); s.logSize >= s.next {
		// The change is kept, whatever comes of this. It is tried again when the journal has doubled.
		if err := s.rewrite(nil); err != nil {
			s.next = 2 * s.logSize
		}
	}
	return nil
}

func notKept(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNotKept, err)
}

func (s *Store) setLag(err error) {
	s.mu.Lock()
	s.lag = err
	s.mu.Unlock()
}

// catchUp writes everything after a failure.
func (s *Store) catchUp() error {
	err := s.rewrite(nil)
	if err != nil {
		s.setLag(err)
	}
	return err
}

// Lag returns why the disk is behind the state in memory, nil when it is not.
func (s *Store) Lag() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.lag
}

// Compact writes a new snapshot and empties the journal. Setters do so by themselves when the journal has grown. It returns ErrNotKept where that
// fails, although nothing may be missing on disk: see Lag.
func (s *Store) Compact() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.disk == nil:
		return nil
	case s.lag != nil:
		return notKept(s.catchUp())
	}
	return notKept(s.rewrite(nil))
}

// Close brings to the disk what is not there yet and gives the directory free. It returns ErrNotKept where something is lost. Closing twice is fine.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.disk == nil {
		return nil
	}
	var err error
	if s.lag != nil {
		err = s.catchUp()
	} else {
		err = s.log.Sync()
	}
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
		s.log = nil
	}
	if s.release != nil {
		s.release()
	}
	return notKept(err)
}

// takeLock makes the directory ours.
func (s *Store) takeLock() error {
	release, err := s.disk.lock()
	if err == nil {
		s.release = release
	}
	return err
}

// claim returns an error where the directory is not ours to write to. One that could not be locked when it was opened, as a rule because nothing
// can be written there, may be by now, and may have been by somebody else; some can never be locked, and are used without.
func (s *Store) claim() error {
	if s.release != nil {
		return nil
	}
	if err := s.takeLock(); err != nil && !errors.Is(err, errNoLock) {
		return err
	}
	return nil
}

// openJournal opens the journal to continue it.
func (s *Store) openJournal() error {
	log, err := s.disk.journal(journalName)
	if err != nil {
		return err
	}
	s.log = log
	s.next = max(compactBytes, 2*s.logSize)
	return nil
}

// rewrite makes the disk what the memory is: a new snapshot, then an empty journal. Each step leaves files that load to the same state: until the
// snapshot has its name the old files are whole, and after that the changes of the journal are all in it, which their numbers say. The
// caller is told of files that were set aside.
func (s *Store) rewrite(aside func(from, to string)) error {
	if aside == nil {
		aside = func(string, string) {}
	}
	if _, err := s.disk.prepare(); err != nil {
		return err
	}
	if err := s.claim(); err != nil {
		return err
	}
	size, err := s.replaceSnapshot(aside)
	if err != nil {
		s.disk.remove(tempName)
		return err
	}
	if err := s.emptyJournal(aside); err != nil {
		s.setLag(err)
		return err
	}
	s.setLag(nil)
	s.logSize, s.next = 0, max(compactBytes, size)
	return nil
}

// replaceSnapshot puts a new snapshot, whose size in bytes it returns, in the place of what there was.
func (s *Store) replaceSnapshot(aside func(from, to string)) (size int64, err error) {
	if size, err = s.writeSnapshot(); err != nil {
		return 0, err
	}
	if s.badSnapshot && s.disk.exists(snapshotName) {
		// A second name first, so that there is a snapshot at any moment; some file systems have no second names.
		to := s.badName(snapshotName)
		if err := s.disk.link(snapshotName, to); err != nil {
			if err := s.disk.rename(snapshotName, to); err != nil {
				return 0, err
			}
		}
		aside(snapshotName, to)
	}
	s.badSnapshot = false
	if err := s.disk.rename(tempName, snapshotName); err != nil {
		return 0, err
	}
	return size, s.disk.sync()
}

// emptyJournal leaves an open journal without a line.
func (s *Store) emptyJournal(aside func(from, to string)) error {
	if s.badJournal && s.disk.exists(journalName) {
		to := s.badName(journalName)
		if err := s.disk.rename(journalName, to); err != nil {
			return err
		}
		aside(journalName, to)
	}
	s.badJournal = false
	if s.log == nil {
		log, err := s.disk.journal(journalName)
		if err != nil {
			return err
		}
		s.log = log
	}
	if err := s.log.Truncate(0); err != nil {
		return err
	}
	if err := s.log.Sync(); err != nil {
		return err
	}
	return s.disk.sync()
}

// badName returns a name under which a damaged file can be kept.
func (s *Store) badName(name string) string {
	base := name + badMark + s.now().UTC().Format("20060102T150405Z")
	to := base
	for n := 2; s.disk.exists(to); n++ {
		to = fmt.Sprintf("%s-%d", base, n)
	}
	return to
}

// writeSnapshot writes the temporary file and returns its size in bytes.
func (s *Store) writeSnapshot() (int64, error) {
	var records []record
	for _, t := range s.tables {
		records = append(records, t.records()...)
	}
	records = append(records, sortedOpaque(s.opaque)...)

	f, err := s.disk.create(tempName)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // what it holds is synced below, or of no use
	w := bufio.NewWriterSize(f, 1<<16)
	size := 0
	put := func(line []byte, end string) {
		n, _ := w.Write(append(line, end...)) // the error of a buffer stays and is that of Flush
		size += n
	}
	put(header{State: "graced", Seq: s.seq, Count: uint(len(records))}.line(), "\n")
	for i, r := range records {
		r.Seq, r.More = 0, false
		end := ",\n"
		if i == len(records)-1 {
			end = "\n"
		}
		put(r.line(), end)
	}
	put(nil, footer)
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return int64(size), f.Sync()
}

// when is the time of a record: the one it was given or, without one, now. Times are kept in UTC.
func (s *Store) when(t time.Time) time.Time {
	if t.IsZero() {
		t = s.now()
	}
	return t.Round(0).UTC()
}

// checkName refuses names that no group or process can have; process "" stands for a whole group.
func checkName(n process.Namespec) error {
	for _, part := range []string{n.Group, n.Process} {
		if !utf8.ValidString(part) || slices.Contains([]byte(part), ':') {
			return fmt.Errorf("%w: name %q", ErrInvalid, part)
		}
	}
	if n.Group == "" || n.Process == "*" {
		return fmt.Errorf("%w: name %q", ErrInvalid, n)
	}
	return nil
}
