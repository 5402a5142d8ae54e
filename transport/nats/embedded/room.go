package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// room is what the disk of a directory has left.
type room struct {
	free    int64 // that this process may use
	reserve int64 // that is kept for what acknowledgements, indices and restarts need
	near    int64 // the disk counts as nearly full when it has less than this, beside the reserve
}

// The reserve is a sixteenth of the disk, and no more than maxReserve. A disk is nearly full a bit earlier.
const (
	maxReserve = 256 << 20
	maxNear    = 64 << 20
)

func newRoom(free, size int64) room {
	return room{free: free, reserve: min(size/16, maxReserve), near: min(size/8, maxNear)}
}

// left is what messages may still take.
func (r room) left() int64 { return max(r.free-r.reserve, 0) }

// limit is how much may be kept where used bytes are, and most is what the options allow: as soon as the disk is nearly
// full, no more than it has left.
func (r room) limit(used, most int64) int64 {
	if r.left() > r.near {
		return most
	}
	return max(min(used+r.left(), most), 1) // 0 would look as if there were no storage at all
}

// room is what the disk has left. Where the system does not tell, only the options bound what is kept.
func (s *Server) room() room {
	r, err := s.look(s.options.StoreDir)
	if err != nil {
		return room{free: unbounded}
	}
	return r
}

// measure brings the server's limit up to date, and says when it begins to be the disk's.
func (s *Server) measure() {
	n := s.running()
	if n == nil || !n.JetStreamEnabled() {
		return
	}
	r := s.room()
	if limit := s.allowed(n, r); limit != s.limit.Load() {
		if err := s.bound(n, limit); err != nil && n.JetStreamEnabled() {
			s.say(fmt.Sprintf("the broker's limit cannot be set: %v", err))
		}
	}
	tight := r.left() <= r.near
	switch was := s.tight.Swap(tight); {
	case tight && !was:
		s.say(fmt.Sprintf("the disk of %s is nearly full: %d bytes are left for messages, then they are refused: make room", s.options.StoreDir, r.left()))
	case was && !tight:
		s.say(fmt.Sprintf("the disk of %s has room again", s.options.StoreDir))
	}
}

// probe reports why nothing can be stored in the directory of the server, nil if it can.
func (s *Server) probe() error {
	dir := s.options.StoreDir
	if r, err := s.look(dir); err == nil && r.left() == 0 {
		return fmt.Errorf("the disk of %s is full: %d bytes are free, and at least %d must be: make room", dir, r.free, r.reserve)
	}
	f, err := os.CreateTemp(dir, ".parley-probe-*")
	if err != nil {
		return fmt.Errorf("write to %s: %w", filepath.Clean(dir), err)
	}
	_, err = f.Write(make([]byte, 64<<10))
	if err == nil {
		err = f.Sync()
	}
	_ = f.Close() // it was synced
	_ = os.Remove(f.Name())
	if err != nil {
		return fmt.Errorf("write to %s: %w", filepath.Clean(dir), err)
	}
	return nil
}
