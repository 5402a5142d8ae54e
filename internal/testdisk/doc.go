// Package testdisk gives tests a disk that can lose its power, where they may have one: in the long suites, which have the
// build tag battery and need root.
package testdisk
