// Package outside is a log outside of Parley: each service of the examples appends what was confirmed to it, what it
// handled and which steps it ran, so that somebody else can tell what really happened whatever Parley itself says.
//
// It is a file SERVICE.log for each service. A line is words with a space between, appended by one write, which the
// kernel neither interleaves with others nor leaves half done when the process is killed; so the lines of a file are in
// the order in which things happened, over restarts too. Every line may be there more than once: after a crash things
// are done again, and the code of an operation runs again from its beginning.
//
//	called call ADDRESS OUTCOME              a call has ended: "ok", or the code of its error
//	confirmed STYLE ADDRESS ID               the network is responsible for a command or event from here on
//	handled STYLE ADDRESS ID GROUP           a group ("-" for a command's one) has done its work for it
//	expected ADDRESS ID OUTCOME [UNDO…]      what must become of an operation and which undos must run; before its start
//	started ADDRESS ID                       its start was confirmed: from here on it must not be lost
//	step-begin ID STEP                       an attempt of a step of operation ID begins; an undo is "undo:NAME"
//	step-end ID STEP                         an attempt has ended, well or not
//	ended ID OUTCOME                         the code of the operation has returned; undos come after that
//
// The OUTCOME of an operation is "ok", the name of a declared error ("loans.v1.rejected"), or the code of another one.
// Expected and started are in the log of whoever asked for the operation; steps and ends are in that of its owner.
//
// [Read] reads the logs of a directory, and [Operation.Problems] says what is wrong with an operation.
package outside
