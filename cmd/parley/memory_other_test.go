//go:build !linux

package main

// memoryDir is that of Linux.
func memoryDir() string { return "" }
