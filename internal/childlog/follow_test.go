package childlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// await reads from f until the text has come; it must come exactly.
func await(t *testing.T, f *Follower, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []byte
	buf := make([]byte, 7) // small, so that everything comes in pieces
	for len(got) < len(want) {
		n, err := f.Next(ctx, buf)
		if err != nil {
			t.Fatalf("%v after %q, want %q", err, got, want)
		}
		got = append(got, buf[:n]...)
	}
	if string(got) != want {
		t.Fatalf("followed %q, want %q", got, want)
	}
}

// silent checks that there is nothing more now.
func silent(t *testing.T, f *Follower) {
	t.Helper()
	buf := make([]byte, 100)
	if n, err := f.read(buf); n != 0 || err != nil {
		t.Fatalf("unexpected %q, %v", buf[:n], err)
	}
}

func follows(t *testing.T, c *channel) *Follower {
	t.Helper()
	f, err := c.Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := newChannel(t, Config{Path: path})
	if _, err := c.Follow(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("follow of a missing file: %v", err)
	}
	head := strings.Repeat("x", 3000)
	if err := os.WriteFile(path, []byte(head), 0o644); err != nil {
		t.Fatal(err)
	}
	f := follows(t, c) // before the process is started
	await(t, f, head[:1024])
	silent(t, f)
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	c.say("one\n")
	await(t, f, "one\n")
	c.Close()
	if err := c.Open(); err != nil { // another incarnation
		t.Fatal(err)
	}
	c.say("two\n")
	await(t, f, "two\n")
	silent(t, f)

	// It waits for news.
	came := make(chan string)
	go func() {
		buf := make([]byte, 100)
		n, err := f.Next(t.Context(), buf)
		came <- fmt.Sprint(string(buf[:n]), err)
	}()
	c.say("three\n")
	if got := <-came; got != "three\n<nil>" {
		t.Errorf("followed %q", got)
	}
}

func TestFollowRotations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := opened(t, Config{Path: path, MaxBytes: 10, Backups: 2})
	f := follows(t, c)
	var want strings.Builder
	for i := range 100 { // many rotations while nobody reads: the files are gone from the directory, not from the follower
		line := fmt.Sprintf("line %d\n", i)
		c.say(line)
		want.WriteString(line)
	}
	await(t, f, want.String())
	silent(t, f)
	c.say("after\n")
	await(t, f, "after\n")
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	c.say("cleared\n")
	await(t, f, "cleared\n")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	c.say("moved\n")
	if err := c.Reopen(); err != nil {
		t.Fatal(err)
	}
	c.say("reopened\n")
	await(t, f, "moved\nreopened\n")
	silent(t, f)
}

// TestFollowRotationDuringLook lets the log grow and rotate right after a follower has seen its end.
func TestFollowRotationDuringLook(t *testing.T) {
	c := opened(t, Config{Path: filepath.Join(t.TempDir(), "log"), MaxBytes: 10, Backups: 1})
	f := follows(t, c)
	c.say("one\n")
	await(t, f, "one\n")
	f.atEnd = func() {
		f.atEnd = nil
		c.say("the end of it\n")
		c.say("new\n")
	}
	await(t, f, "the end of it\nnew\n")
}

// TestFollowUnderLoad writes through many rotations while followers read: no byte may be lost or come twice.
func TestFollowUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := opened(t, Config{Path: path, MaxBytes: 100, Backups: 1})
	const lines, stride, followers = 8000, 150, 4
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var read [followers]chan struct{}
	done := make(chan error, followers)
	for i := range read {
		f := follows(t, c)
		read[i] = make(chan struct{}, lines/stride+1)
		go func() { done <- readLines(ctx, f, lines, stride, read[i]) }()
	}
	for i := range lines {
		c.say(fmt.Sprintf("line %d\n", i))
		if i%stride == stride-1 && i > stride {
			// A follower keeps 64 files, so the writer must not be further ahead.
			for _, read := range read {
				select {
				case <-read:
				case <-ctx.Done():
					t.Fatal(<-done)
				}
			}
		}
	}
	for range followers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// readLines expects numbered lines and tells read after each stride of them.
func readLines(ctx context.Context, f *Follower, lines, stride int, read chan struct{}) error {
	buf := make([]byte, 512)
	var rest string
	for next := 0; next < lines; {
		n, err := f.Next(ctx, buf)
		if err != nil {
			return fmt.Errorf("%w after line %d", err, next)
		}
		rest += string(buf[:n])
		for {
			line, more, ok := strings.Cut(rest, "\n")
			if !ok {
				break
			}
			if want := fmt.Sprintf("line %d", next); line != want {
				return fmt.Errorf("got %q, want %q", line, want)
			}
			rest = more
			if next++; next%stride == 0 {
				read <- struct{}{}
			}
		}
	}
	return nil
}

// TestFollowTruncation keeps quirk D14: Supervisor means to say this and drops the connection.
func TestFollowTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := opened(t, Config{Path: path, MaxBytes: 20, Backups: 0}) // rotates by truncation
	f := follows(t, c)
	c.say("one\n")
	await(t, f, "one\n")
	c.say("a long line of text\n")
	c.say("a line that is longer than what was there\n")
	c.say("x\n")
	await(t, f, truncatedText+truncatedText+"x\n")
	silent(t, f)
}

func TestFollowForeignTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := FollowPath(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	await(t, f, "one\ntwo\n")
	if err := os.WriteFile(path, []byte("new\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	await(t, f, truncatedText+"new\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	await(t, f, "another file\n")
	silent(t, f)
}

func TestFollowEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := opened(t, Config{Path: path})
	next := func(f *Follower, ctx context.Context) chan error {
		came := make(chan error, 1)
		go func() {
			_, err := f.Next(ctx, make([]byte, 10))
			came <- err
		}()
		return came
	}
	f := follows(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	came := next(f, ctx)
	cancel()
	if err := <-came; !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	came = next(f, t.Context())
	f.Close()
	f.Close()
	if err := <-came; !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := f.Next(t.Context(), make([]byte, 10)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	f, err := c.Follow(ctx)
	if err != nil {
		t.Fatal(err)
	}
	came = next(f, t.Context())
	cancel() // the context of Follow ends it too
	if err := <-came; !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the end of its context: %v", err)
	}
	if f, err = c.Follow(ctx); err == nil { // a context that is done already
		if _, err := f.Next(t.Context(), make([]byte, 10)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("with a context that is done: %v", err)
		}
	}
	c.say("x")
	c.target.mu.Lock()
	defer c.target.mu.Unlock()
	if n := len(c.target.followers); n != 0 {
		t.Errorf("%d followers are still known", n)
	}
}

func TestFollowActivityLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenFile(path, 10, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, line := range []string{"line 1\n", "line 2\n", "line 3\n"} {
		if _, err := l.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, f, "line 1\nline 2\nline 3\n")
}
