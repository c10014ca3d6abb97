package childlog

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrBadArguments is returned for offsets and lengths that mean nothing (fault BAD_ARGUMENTS).
var ErrBadArguments = errors.New("bad arguments")

// Read returns length bytes from offset (contract: rpc, "Log reading"). Length zero means to the end. A negative offset counts from the
// end and takes no length. The error wraps fs.ErrNotExist for a missing file, is ErrBadArguments, or tells another failure (fault FAILED).
// The bytes are raw: they may begin or end inside a character.
func Read(path string, offset, length int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read log: %w", err)
	}
	defer f.Close()
	if offset < 0 && length != 0 || length < 0 {
		return nil, ErrBadArguments
	}
	if offset < 0 {
		size, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, fmt.Errorf("cannot read log: %w", err)
		}
		length = -offset
		if length < 0 || length > size { // -offset overflows for the smallest number
			length = size
		}
		if length == 0 {
			return []byte{}, nil
		}
		offset = size - length
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("cannot read log: %w", err)
	}
	return readUpTo(f, length)
}

// readUpTo reads at most length bytes, all with length zero.
func readUpTo(f *os.File, length int64) ([]byte, error) {
	var r io.Reader = f
	if length > 0 {
		r = io.LimitReader(f, length)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("cannot read log: %w", err)
	}
	return data, nil
}

// Tail returns the last length bytes of a log for a client that polls with the offset it got before (contract: rpc, "Log reading").
// newOffset is the size of the file, overflow tells that it has grown beyond offset+length. On an error newOffset is offset.
//
// compat: a poller whose length is larger than the growth gets the last length bytes again, not those from offset (quirk D4).
func Tail(path string, offset, length int64) (data []byte, newOffset int64, overflow bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, offset, false, fmt.Errorf("cannot tail log: %w", err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, offset, false, fmt.Errorf("cannot tail log: %w", err)
	}
	// size > offset+length and the like, written so that no sum overflows; the operands may be negative.
	if compareSum(offset, length, size) < 0 {
		overflow = true
		offset = size - 1
	}
	if compareSum(offset, length, size) > 0 {
		if offset > size-1 {
			length = 0
		}
		offset = size - length
	}
	offset = max(offset, 0)
	if length <= 0 {
		return []byte{}, size, overflow, nil
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, offset, false, fmt.Errorf("cannot tail log: %w", err)
	}
	data, err = readUpTo(f, length)
	if err != nil {
		return nil, offset, false, err
	}
	return data, size, overflow, nil
}

// compareSum compares a+b with c as if numbers had no end.
func compareSum(a, b, c int64) int {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return 1
	case a < 0 && b < 0 && sum >= 0:
		return -1
	case sum < c:
		return -1
	case sum > c:
		return 1
	}
	return 0
}
