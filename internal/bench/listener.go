package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// seen is what an event listener has seen.
type seen struct {
	events uint64
	gaps   uint64 // how often an event's number in the pool did not follow the one before
	lines  uint64

	first, last uint64 // when the first and the last event came, in nanoseconds of CLOCK_MONOTONIC
}

const seenSize = 40

func readSeen(file string) (seen, error) {
	text, err := os.ReadFile(file)
	if err == nil && len(text) != seenSize {
		err = fmt.Errorf("%s has %d bytes", file, len(text))
	}
	if err != nil {
		return seen{}, err
	}
	var s seen
	for i, n := range []*uint64{&s.events, &s.gaps, &s.lines, &s.first, &s.last} {
		*n = binary.LittleEndian.Uint64(text[8*i:])
	}
	return s, nil
}

func (s seen) save(file string) error {
	var text []byte
	for _, n := range []uint64{s.events, s.gaps, s.lines, s.first, s.last} {
		text = binary.LittleEndian.AppendUint64(text, n)
	}
	return os.WriteFile(file, text, 0o644)
}

// listen is the child's role "listen" in Go.
func listen(mode, linesText, file, fifo string) error {
	lines, err := strconv.ParseUint(linesText, 10, 64)
	if err != nil {
		return err
	}
	release, end := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(release, syscall.SIGUSR1)
	signal.Notify(end, syscall.SIGTERM)
	var mu sync.Mutex // the count, and whoever writes it to the file
	var count seen
	go func() {
		<-end
		mu.Lock()
		if count.save(file) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}()
	if err := sendStamp(fifo); err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString("READY\n"); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	for next := 0; ; {
		header, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		length, err := number(header, " len:")
		if err != nil {
			return err
		}
		serial, err := number(header, " poolserial:")
		if err != nil {
			return err
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return err
		}
		mu.Lock()
		count.last = uint64(monotonic())
		if count.events++; count.events == 1 {
			count.first = count.last
		}
		if serial != next {
			count.gaps++
		}
		next = serial + 1
		count.lines += uint64(bytes.Count(payload, []byte("\n"))) - 1 // the first one describes the rest
		if count.events == 1 && mode != "live" {
			mu.Unlock()
			<-release
			mu.Lock()
		}
		if mode == "late" {
			err = count.save(file)
		}
		done := lines > 0 && count.lines >= lines
		mu.Unlock()
		if err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString("RESULT 2\nOKREADY\n"); err != nil {
			return err
		}
		if done {
			lines = 0
			if err := sendStamp(fifo); err != nil {
				return err
			}
		}
	}
}

// number returns the number behind key.
func number(text, key string) (int, error) {
	_, rest, found := strings.Cut(text, key)
	if !found {
		return 0, fmt.Errorf("no%s in %q", key, text)
	}
	digits := strings.TrimLeft(rest, "0123456789")
	return strconv.Atoi(rest[:len(rest)-len(digits)])
}
