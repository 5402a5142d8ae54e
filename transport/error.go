package transport

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the class of an error, by its name on the wire. The set is that of gRPC, whose meanings are the field's.
type Code string

const (
	Canceled           Code = "canceled"            // the caller gave up
	InvalidArgument    Code = "invalid-argument"    // the request is wrong whatever the state
	DeadlineExceeded   Code = "deadline-exceeded"   // the time was over
	NotFound           Code = "not-found"           // the thing does not exist
	AlreadyExists      Code = "already-exists"      // the thing exists
	PermissionDenied   Code = "permission-denied"   // this caller may not
	Unauthenticated    Code = "unauthenticated"     // who is calling?
	ResourceExhausted  Code = "resource-exhausted"  // a quota is used up
	FailedPrecondition Code = "failed-precondition" // not in this state
	Aborted            Code = "aborted"             // a conflict; the whole may be tried again
	Unimplemented      Code = "unimplemented"       // nobody handles this address here
	Unavailable        Code = "unavailable"         // not now; may be tried again
	Internal           Code = "internal"            // a defect of the callee
	Unknown            Code = "unknown"             // anything else
)

// Error is what becomes of a call that failed, the same on both sides of the wire. [errors.Is] matches a declared
// error by its Name, and any other Error by its Code if the target has nothing else.
type Error struct {
	Code    Code
	Name    string  // of a declared error: "orders.v1.out-of-stock"; "" = none
	Message string  // for people
	Details []byte  // JSON, of a declared error; nil = none
	Fields  []Field // what is wrong with which field of the request

	// What was attempted; filled in at the border of the caller, not sent.
	Address, ID, Peer string

	// What it means for repeating.
	NotSent    bool          // the callee certainly did not begin: it was not reached, or refused before its handler
	RetryAfter time.Duration // not earlier than that; 0 = it did not say
	NoRetry    bool          // the callee has already retried in vain

	Cause error // on this side of the wire; not sent
}

// Field is one thing that is wrong with a request.
type Field struct {
	Path    string `json:"path"`    // "items[0].sku"; "" = the whole
	Message string `json:"message"` // "want at least 1, got 0"
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Address != "" {
		b.WriteString(e.Address)
		b.WriteString(": ")
	}
	name := e.Name
	if name == "" {
		name = string(e.Code)
	}
	b.WriteString(name)
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	for i, f := range e.Fields {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		path := f.Path
		if path == "" {
			path = "body"
		}
		fmt.Fprintf(&b, "%s%s: %s", sep, path, f.Message)
	}
	if e.Peer != "" {
		fmt.Fprintf(&b, " (peer %s)", e.Peer)
	}
	if e.Cause != nil && !strings.Contains(e.Message, e.Cause.Error()) {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the cause on this side of the wire.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an Error of the same Name, or names no error and has the same Code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok {
		return false
	}
	if t.Name != "" {
		return t.Name == e.Name
	}
	return t.Code == e.Code && t.Message == ""
}

// CodeOf is the Code of err: of the [Error] inside it, else Unknown. CodeOf(nil) is "".
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Unknown
}
