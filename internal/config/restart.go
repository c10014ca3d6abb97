package config

import (
	"strings"
	"time"

	"github.com/graced/graced/internal/process"
)

// The bounds of the options about restarts. Pauses below the least would be a storm.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 24 * time.Hour
	mostFactor = 100
	mostEvents = 1000
)

const backoffHint = "write the first and the longest pause, as in 1s..30s x2 jitter=0.2, or one pause from 100ms to 24h, as in 5s"

// ParseBackoff reads pauses: FIRST or FIRST..MOST, then xFACTOR and jitter=SHARE in any order; 0 is none.
func ParseBackoff(s string) (process.BackoffSpec, error) {
	bad := func(hint string) (process.BackoffSpec, error) {
		return process.BackoffSpec{}, &valueError{"invalid 'backoff' value " + repr(s), hint}
	}
	words := strings.Fields(lower(s))
	if len(words) == 0 {
		return bad(backoffHint)
	}
	if len(words) == 1 && words[0] == "0" {
		return process.BackoffSpec{}, nil
	}
	b := process.BackoffSpec{Factor: 1000}
	first, most, grows := strings.Cut(words[0], "..")
	if grows {
		b.Factor = 2000
	} else {
		most = first
	}
	var ok, above bool
	b.First, ok = pause(first, leastPause)
	b.Most, above = pause(most, b.First)
	switch {
	case !ok:
		return bad(backoffHint)
	case !above:
		return bad("the second pause is the longest, at most 24h")
	}
	for _, word := range words[1:] {
		if text, is := strings.CutPrefix(word, "x"); is {
			if b.Factor, ok = parseThousandths(text, 1, mostFactor); !ok || !grows {
				return bad("a factor is x1 to x100, and needs the longest pause, as in 1s..30s x2")
			}
			continue
		}
		text, is := strings.CutPrefix(word, "jitter=")
		if b.Jitter, ok = parseThousandths(text, 0, 1); !is || !ok {
			return bad("jitter is a share from 0 to 1, as in jitter=0.2")
		}
	}
	return b, nil
}

// ParseRate reads NUMBER/TIME; 0 is none.
func ParseRate(s string) (process.Rate, error) {
	if s == "0" {
		return process.Rate{}, nil
	}
	count, within, _ := strings.Cut(lower(s), "/")
	n, err := ParseInt(count)
	d, ok := pause(strip(within), time.Second)
	if err != nil || !ok || n < 1 || n > mostEvents {
		return process.Rate{}, &valueError{"invalid number in a time " + repr(s), "write a number from 1 to 1000 and a time from 1s to 24h, as in 5/60s"}
	}
	return process.Rate{Count: n, Within: d}, nil
}

// pause reads a duration of at least so much and at most a day.
func pause(s string, least time.Duration) (time.Duration, bool) {
	d, err := duration(s)
	return d, err == nil && d >= least && d <= mostPause
}
