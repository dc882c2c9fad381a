package source

import (
	"context"
	"sync"
)

// NewShared is an object that is opened once for all who have it open at a time. While one of them has, others can open it, too, even if it
// was removed or replaced meanwhile (on file systems that keep what is open).
func NewShared(o Object) Object { return &shared{Object: o} }

type shared struct {
	Object

	mu      sync.Mutex
	reader  Reader // nil while nobody has it open
	readers int
}

func (s *shared) Open(ctx context.Context) (Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		r, err := s.Object.Open(ctx)
		if err != nil {
			return nil, err
		}
		s.reader = r
	}
	s.readers++
	return &sharedReader{Reader: s.reader, close: sync.OnceValue(s.leave)}, nil
}

// leave closes the object after its last reader.
func (s *shared) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers--; s.readers > 0 {
		return nil
	}
	r := s.reader
	s.reader = nil
	return r.Close()
}

type sharedReader struct {
	Reader
	close func() error
}

// Close may be called more than once.
func (r *sharedReader) Close() error { return r.close() }
