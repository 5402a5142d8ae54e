// Package presence knows who is there: which instances of which services are alive, what they answer and receive, and
// which groups subscribe to which address. It is a [parley.Directory] over the network itself, two streams of it, so
// that nothing else has to run.
//
// The stream parley.presence holds announcements of the last two minutes. Each process repeats what it has to say
// every two seconds and says goodbye when an instance leaves. The stream parley.groups holds what was registered and
// removed since the network exists, because a group receives also while none of its instances is up.
package presence
