package ctl

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// TestStatusNote: of a process that was stopped before any life of it has ended Supervisor tells the beginning of 1970, and status that it was not started.
func TestStatusNote(t *testing.T) {
	for _, form := range []string{"", " -o json", " -o plain"} {
		f := newFixture(t, Gracectl)
		never, once := f.d.find("web:web_1"), f.d.find("web:web_0")
		never.Description, never.Start = "Jan 01 12:00 AM", time.Unix(1_800_000_000, 0)
		once.State, once.Description, once.Stop = process.Stopped, "Nov 01 10:00 AM", time.Unix(1_800_000_000, 0)
		f.Run(context.Background(), strings.Fields("status web:*"+form))
		out := f.out.String()
		if plain := form == " -o plain"; strings.Contains(out, "Jan 01") != plain || strings.Contains(out, "Not started") == plain || !strings.Contains(out, "Nov 01 10:00 AM") {
			t.Errorf("status%s:\n%s", form, out)
		}
	}
}
