package control

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrHandOver is why the context of a call ends when another daemon goes on.
var ErrHandOver = errors.New("another daemon goes on")

type passingKey struct{}

// WithPassing returns a context for a call that another daemon can answer. left reports, when the call is over, whether its answer has been left to that.
func WithPassing(ctx context.Context) (_ context.Context, left func() bool) {
	var is atomic.Bool
	return context.WithValue(ctx, passingKey{}, &is), is.Load
}

// PassedOn reports whether the answer of a call has been left to the next daemon.
func PassedOn(ctx context.Context) bool {
	is, ok := ctx.Value(passingKey{}).(*atomic.Bool)
	return ok && is.Load()
}

// PassOn leaves the answer of a call to the next daemon, if the call's context has ended for that, and reports whether it does.
func PassOn(ctx context.Context) bool {
	is, ok := ctx.Value(passingKey{}).(*atomic.Bool)
	if !ok || !errors.Is(context.Cause(ctx), ErrHandOver) {
		return false
	}
	is.Store(true)
	return true
}
