package main

import "syscall"

// memoryDir is a directory whose files are in memory, for brokers that are not to wait for a slow disk: what survives a loss
// of power is tested elsewhere. "" = there is none, or none that is large enough: a broker is careful with a disk that is
// nearly full.
func memoryDir() string {
	const dir, enough = "/dev/shm", 1 << 30
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < enough {
		return ""
	}
	return dir
}
