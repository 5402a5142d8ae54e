// Package readme holds the test that the README's program is the one that is built and run.
package readme
