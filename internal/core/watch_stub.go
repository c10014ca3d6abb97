package core

// Watched returns the processes whose checks are to be made, for a caller that has restored the machine.
func (s *Supervisor) Watched() []Watch { return nil }
