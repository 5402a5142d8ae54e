// Package sqlite keeps the journal of operations in a file of SQLite, by database/sql and a driver without cgo.
//
// What Commit has confirmed survives kill -9, and a power loss too: the log is written with synchronous=FULL, so that each
// commit waits until the disk says that it has it (fsync). A disk that lies about that loses what it lied about. A
// batch is one transaction: after whatever end of the process all of it is there or nothing.
//
// One process at a time has the file, by a lock of the operating system on FILE.lock. The lock ends with the process in
// whatever way, so that a restart waits for nothing. Times are kept to the nanosecond between the years 1678 and 2261;
// later ones become operation.Never, earlier ones the zero time.
package sqlite
