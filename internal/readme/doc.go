// Package readme holds the tests that the documents are true: the program of the README is the one that is built and run, and
// each guarantee names a check that exists.
package readme
