package sqlite

import "fmt"

const (
	// applicationID marks the file as a journal of Parley: "PRLY".
	applicationID = 0x50524C59
	// schemaVersion is that of the tables. A column with an encoded value has the format of that value in its first byte.
	schemaVersion = 1

	// zeroTime and neverTime stand for time.Time{} and operation.Never; all others are nanoseconds since 1970.
	zeroTime  = -1 << 63
	zeroText  = "-9223372036854775808" // zeroTime in SQL
	neverTime = 1<<63 - 1
)

// isOpen is the condition of the index "due" too: SQLite uses the index only where the query has the very same words.
const isOpen = "status not in ('Succeeded', 'Failed', 'Canceled')"

// schema creates everything or nothing. A number instead of the ID joins the tables, so that the steps of an operation lie
// beside each other and those of new operations at the end. Each index costs a page in the commits of an operation: the
// index newest serves lists of one address too, for which it has the address.
var schema = fmt.Sprintf(`
begin immediate;
create table journal(
	one    integer primary key check (one = 1),
	id     text not null,
	worker text not null,
	epoch  integer not null
) strict;
insert into journal values (1, ?, '', 0);

create table operations(
	op       integer primary key,
	id       text not null unique,
	address  text not null,
	version  integer not null,
	input    blob,
	origin   blob, -- list of source, key, correlation, causation, trace
	created  integer not null,
	status   text not null,
	output   blob,
	error    blob, -- see encodeError
	parked   text not null,
	updated  integer not null,
	finished integer not null,
	deadline integer not null,
	wake_at  integer not null,
	cancel   text not null,
	undo     blob, -- list
	revision integer not null
) strict;
create index newest on operations(created, id, address);
create index due on operations(wake_at, created, id) where %[1]s;
create index finished on operations(finished) where finished > %[2]s;

create table entries(
	op       integer not null references operations on delete cascade,
	key      text not null,
	seq      integer not null,
	kind     text not null,
	attempt  integer not null,
	attempts integer not null,
	output   blob,
	error    blob,
	begun    integer not null,
	ended    integer not null,
	next     integer not null,
	primary key (op, key)
) strict, without rowid;

create table signals(
	op     integer not null references operations on delete cascade,
	id     text not null,
	name   text not null,
	n      integer not null,
	body   blob,
	source text not null,
	at     integer not null,
	primary key (op, id),
	unique (op, name, n)
) strict, without rowid;

pragma application_id = %[3]d;
pragma user_version = %[4]d;
commit;
`, isOpen, zeroText, applicationID, schemaVersion)
