package config

import (
	"strings"
	"time"

	"github.com/graced/graced/internal/process"
)

// duration reads a span of time: "500ms", "10s", "2m", "1h30m"; a number without a unit counts seconds.
func duration(text string) (time.Duration, error) {
	s := lower(strip(text))
	if s != "" && strings.IndexByte("0123456789", s[len(s)-1]) >= 0 {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, &valueError{"not a duration: " + repr(text), "write a number with ms, s, m or h, such as 500ms, 10s or 2m; without a unit it counts seconds"}
	}
	return d, nil
}

// durationOrForever is duration, for what may also take as long as it takes.
func durationOrForever(text string) (time.Duration, error) {
	if lower(strip(text)) == "forever" {
		return process.Forever, nil
	}
	d, err := duration(text)
	if err != nil {
		err = &valueError{"not a duration: " + repr(text), "write a number with ms, s, m or h, such as 500ms, 10s or 2m, without a unit it counts seconds; or forever"}
	}
	return d, err
}

// span is duration, for what takes time.
func span(text string) (time.Duration, error) {
	d, err := duration(text)
	if err == nil && d == 0 {
		return 0, &valueError{"not a duration: " + repr(text), "write more than 0, such as 500ms or 10s"}
	}
	return d, err
}
