package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Ledger is what a daemon writes down before it acts, for the one that comes after its death: frames, one behind the other. It is not meant to
// outlive the machine: nothing waits for a disk.
//
// A frame is its length (4 bytes, little endian), the checksum of the rest (CRC-32C, 4), a kind (1) and the payload. A frame that was torn, and
// what comes after it, does not count.
type Ledger struct {
	medium Medium
	file   *os.File
	size   int64 // bytes in the file
	base   int64 // how many of them Begin wrote
}

// Medium is where a Ledger lives.
type Medium interface {
	// Open returns what is there, nil if there is nothing.
	Open() (*os.File, error)
	// Create returns an empty file that nobody finds before Publish, which puts it in the place of the one before. The file is the caller's.
	Create() (*os.File, error)
	Publish(*os.File) error
	// Remove leaves nothing.
	Remove() error
}

// Frame is one piece of a Ledger.
type Frame struct {
	Kind    byte
	Payload []byte
}

const (
	frameHead = 9
	// ledgerLeast is how large a ledger grows before it is worth to begin anew.
	ledgerLeast = 4 << 20
)

// AppendFrame appends a frame to buf.
func AppendFrame(buf []byte, kind byte, payload []byte) []byte {
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(payload)))
	sum := crc32.Update(crc32.Update(0, castagnoli, []byte{kind}), castagnoli, payload)
	buf = binary.LittleEndian.AppendUint32(buf, sum)
	return append(append(buf, kind), payload...)
}

// OpenLedger returns the ledger of a medium and what it holds.
func OpenLedger(m Medium) (*Ledger, []Frame, error) {
	l := &Ledger{medium: m}
	f, err := m.Open()
	if f == nil || err != nil {
		return l, nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return l, nil, fmt.Errorf("cannot read what a daemon before has left: %w", err)
	}
	return l, Frames(data), nil
}

// Frames returns the whole frames at the beginning of data, of which they are parts.
func Frames(data []byte) []Frame {
	var out []Frame
	for len(data) >= frameHead {
		end := frameHead + int64(binary.LittleEndian.Uint32(data))
		if end > int64(len(data)) || crc32.Checksum(data[8:end], castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
			break
		}
		out = append(out, Frame{data[8], data[frameHead:end]})
		data = data[end:]
	}
	return out
}

// errUnbegun says that Append came before Begin.
var errUnbegun = errors.New("the ledger has not been begun")

// Begin writes frames in the place of everything before.
func (l *Ledger) Begin(frames []byte) error {
	f, err := l.medium.Create()
	if err != nil {
		return err
	}
	if _, err = f.Write(frames); err == nil {
		err = l.medium.Publish(f)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if l.file != nil {
		err = l.file.Close() // it is nobody's any more
	}
	l.file, l.size, l.base = f, int64(len(frames)), int64(len(frames))
	return err
}

// Append writes frames, all in one call: either all of them count later or some first ones.
func (l *Ledger) Append(frames []byte) error {
	if l.file == nil {
		return errUnbegun
	}
	n, err := l.file.WriteAt(frames, l.size)
	if err != nil {
		return err
	}
	l.size += int64(n)
	return nil
}

// Long reports whether it is worth to begin anew.
func (l *Ledger) Long() bool { return l.size > max(ledgerLeast, 4*l.base) }

// Close closes the ledger. It is left for another daemon.
func (l *Ledger) Close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Remove ends the ledger: nothing is left to go on with.
func (l *Ledger) Remove() error { return errors.Join(l.Close(), l.medium.Remove()) }
