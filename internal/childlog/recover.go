package childlog

import (
	"errors"
	"fmt"
)

// UseStage makes the output of the stream outlive the daemon in a stage, under a key that no other stream has, and that it has again after a
// restart. It is called before the stream is opened.
func (s *Stream) UseStage(stage *Stage, key uint64) {
	s.io.Lock()
	defer s.io.Unlock()
	s.key = key
	s.use(stage)
}

// use makes stage the stream's; the caller holds s.io.
func (s *Stream) use(stage *Stage) { s.stage, s.syslog.stage = stage, stage }

// Position says which piece of output the functions of Config are being told of; only they may ask. It grows with every piece, and has the same
// value when a piece is told again after a crash: who stores what it was told before it returns, and drops what is not behind the last
// position it has stored, hears everything exactly once. Without a Stage it is zero.
func (s *Stream) Position() uint64 {
	if s.stage == nil {
		return 0
	}
	return s.stage.head.begun.Load()<<positionBits | s.stage.told
}

// positionBits is for the pieces of one chunk. With two tags between any two captures it has some 4,000 at most.
const positionBits = 16

// commit ends the stage's transaction.
func (s *Stream) commit() {
	if s.stage == nil {
		return
	}
	if err := s.stage.commit(s.state()); err != nil {
		s.say(err.Error())
	}
}

// Recover goes on where an earlier daemon was killed: the chunks in the stages are brought to their end, and every stream holds back again what it
// held back then. stages are all that the earlier daemon used. stream returns the stream of a key, which may use another stage now, and
// was given back to its incarnation by Continue; nil = there is none. Recover is called once, before any output is drained. The error tells of output
// of which nobody is left to take it; it is dropped.
func Recover(stages []*Stage, stream func(key uint64) *Stream) error {
	var errs []error
	for _, g := range stages {
		if g.underWay() {
			errs = append(errs, g.goOn(stream(g.head.key.Load())))
		}
	}
	last := uint64(0)
	for _, g := range stages {
		last = max(last, g.head.committed.Load())
	}
	for _, g := range stages {
		errs = append(errs, g.handOut(stream))
		g.advance(last)
	}
	return errors.Join(errs...)
}

// goOn brings the transaction under way to its end. s may be nil.
func (g *Stage) goOn(s *Stream) error {
	key := g.head.key.Load()
	before := g.states[key]
	g.mu.Lock() // until it ends
	if g.head.kind.Load() == stageSave {
		return g.commit(before)
	}
	if s == nil {
		return errors.Join(orphaned(key, g.size-g.skip), g.commit(before)) // handOut says farewell to the rest
	}
	s.io.Lock()
	defer s.io.Unlock()
	own := s.stage
	s.use(g)
	defer s.use(own)
	s.restore(before)
	s.mu.Lock()
	r := route{s.cfg, s.target}
	s.mu.Unlock()
	if r.target != nil {
		defer r.target.rest()
	}
	_, _ = s.pass(&r, g.staged) // of the errors, the end of the output comes again, and a slow target is asked again
	after := s.state()
	delete(g.states, key)
	if !after.empty() {
		g.states[key] = after
	}
	s.commit()
	return nil
}

// handOut gives the streams what they held back.
func (g *Stage) handOut(stream func(key uint64) *Stream) error {
	var errs []error
	for key, st := range g.states {
		s := stream(key)
		switch {
		case s == nil:
			errs = append(errs, orphaned(key, len(st.pending)+len(st.outside)+len(st.within)+len(st.held)+len(st.captured)))
		case s.stage == g:
			s.io.Lock()
			s.restore(st)
			s.io.Unlock()
			continue
		default:
			// It moves. A crash between the two halves leaves it in both, where it is the same.
			s.io.Lock()
			s.restore(st)
			s.stage.begin(key, stageSave)
			s.commit()
			s.io.Unlock()
		}
		g.begin(key, stageSave)
		errs = append(errs, g.commit(state{}))
	}
	g.states = nil
	return errors.Join(errs...)
}

// advance gives the transactions from now on numbers behind last: a stream that changes its stage has positions that grow.
func (g *Stage) advance(last uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.head
	if last <= h.committed.Load() {
		return
	}
	journal := &h.journal[last%2]
	journal.from.Store(uint64(g.from))
	journal.to.Store(uint64(g.to))
	h.committed.Store(last)
}

func orphaned(key uint64, n int) error {
	return fmt.Errorf("%d bytes of output of stream %d are lost: nobody knows it any more", max(0, n), key)
}
