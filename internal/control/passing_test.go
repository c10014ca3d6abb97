package control

import (
	"context"
	"testing"
)

// TestPassing: the answer of a call is left to the next daemon only if somebody leaves it, and only when another daemon goes on.
func TestPassing(t *testing.T) {
	for _, c := range []struct {
		name  string
		cause error
		leave bool
		want  bool
	}{
		{"another daemon goes on", ErrHandOver, true, true},
		{"it does, and the answer was there", ErrHandOver, false, false},
		{"the client has gone", context.Canceled, true, false},
		{"nothing has ended", nil, true, false},
	} {
		ctx, end := context.WithCancelCause(t.Context())
		ctx, left := WithPassing(ctx)
		if c.cause != nil {
			end(c.cause)
		}
		if PassedOn(ctx) {
			t.Errorf("%s: it is left before anybody has", c.name)
		}
		if c.leave && PassOn(ctx) != c.want {
			t.Errorf("%s: it is left: %v", c.name, !c.want)
		}
		if PassedOn(ctx) != c.want || left() != c.want {
			t.Errorf("%s: it is left: %v, %v, want %v", c.name, PassedOn(ctx), left(), c.want)
		}
		end(nil)
	}
	if PassOn(t.Context()) || PassedOn(t.Context()) {
		t.Error("what nobody can answer later is left")
	}
}
