// Package rewrite gives a configuration file another content and keeps everything else of it: owner, mode, and every name that it has.
//
// It knows nothing about what is in the file. It imports the standard library alone.
package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrReadOnly is why a file is left alone that nobody may write to: not even root, who could.
var ErrReadOnly = errors.New("nobody may write to it")

// Result says how a file was written.
type Result struct {
	// Names is how many names the file has. With several it was written in place, so that all of them have the new content: whoever reads it at
	// that moment may see a part. With one, it was replaced as a whole.
	Names int
}

// File replaces the content old of a file by next. A symbolic link stays one. Nothing is done when the content is another by now, and, unless
// force, when the mode lets nobody write: the error is an ErrReadOnly then. What went wrong in the middle is undone.
func File(path string, old, next []byte, force bool) (Result, error) {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	info, err := os.Stat(path)
	if err != nil {
		return Result{}, err
	}
	if mode := info.Mode().Perm(); mode&0o222 == 0 && !force {
		return Result{}, fmt.Errorf("%s has the mode %04o: %w", path, mode, ErrReadOnly)
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return Result{}, err
	}
	if !bytes.Equal(now, old) {
		return Result{}, fmt.Errorf("%s has changed meanwhile", path)
	}
	if n := names(info); n > 1 {
		return Result{n}, inPlace(path, old, next)
	}
	return Result{1}, replace(path, info, next)
}

// inPlace writes over a file, and the old content again where that fails.
func inPlace(path string, old, next []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err = fill(f, next); err != nil {
		err = errors.Join(err, fill(f, old))
	}
	return errors.Join(err, f.Close())
}

// fill makes text the whole content of a file, on disk.
func fill(f *os.File, text []byte) error {
	if _, err := f.WriteAt(text, 0); err != nil {
		return err
	}
	return errors.Join(f.Truncate(int64(len(text))), f.Sync())
}

// replace writes a file anew beside the old one and puts it in its place, with the same owner and mode.
func replace(path string, info os.FileInfo, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // it is of no use
		}
	}()
	if err = errors.Join(fill(f, text), f.Close()); err != nil {
		return err
	}
	if err = keepOwner(f.Name(), info); err != nil {
		return err
	}
	// After the owner, whose change takes bits away.
	if err = os.Chmod(f.Name(), info.Mode()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
