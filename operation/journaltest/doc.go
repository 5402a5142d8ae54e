// Package journaltest has the promises of an [operation.Journal] as a suite that every implementation has to pass.
//
// Beside what the comments of operation.Journal say, a journal keeps values exactly: times to the nanosecond, answered
// in UTC (the zero time and operation.Never included), texts of any bytes, and an empty body apart from none. It keeps
// all of a transport.Error but its Cause. Empty lists may come back as nil. Updated and Revision are what the last
// Update says: the journal counts nothing by itself. What is given to it and what it gives belongs to the caller.
package journaltest
