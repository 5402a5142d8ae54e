package operation

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// StepID derives the ID of a step from those of the operation and the step's key: a UUID of version 8.
func StepID(operation, key string) string {
	h := sha256.Sum256([]byte(operation + "\x00" + key))
	u := h[:16]
	u[6] = u[6]&0x0f | 0x80 // version 8: its content is the application's
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562
	text := make([]byte, 0, 36)
	for i, part := range [][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}

// NextID derives the ID of something that the step does: the n-th time for a name, the n-th ID of the step and name, so
// that another attempt derives the same. Safe for concurrent use.
func (s *Step) NextID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named == nil {
		s.named = make(map[string]int)
	}
	s.named[name]++
	return StepID(s.Operation.ID, s.Key+"/"+name+"#"+strconv.Itoa(s.named[name]))
}
