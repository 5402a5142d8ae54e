//go:build linux || darwin || freebsd

package embedded

import "syscall"

// roomOf looks at the disk of a directory.
func roomOf(dir string) (room, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return room{}, err
	}
	block := int64(fs.Bsize) //nolint:unconvert // of other types elsewhere
	return newRoom(int64(fs.Bavail)*block, int64(fs.Blocks)*block), nil
}
