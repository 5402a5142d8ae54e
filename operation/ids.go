package operation

import (
	"context"
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
	return StepID(s.Operation.ID, s.Key+s.branch+"/"+name+"#"+strconv.Itoa(s.named[name]))
}

// Branch is the context of a part of the step that runs beside other parts: the IDs that it derives are its own, and the
// same at every attempt, whatever the order in which the parts run. name is unique in the step.
func (s *Step) Branch(ctx context.Context, name string) context.Context {
	part := &Step{Operation: s.Operation, ID: s.ID, Key: s.Key, Attempt: s.Attempt, branch: s.branch + "/" + name}
	return context.WithValue(ctx, scopeKey{}, scope{step: part})
}
