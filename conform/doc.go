// Package conform tries a broker of anybody's: the checks of packages transporttest and deliverytest, on the broker of a
// URL, for whoever wants to know whether his own keeps the promises. `parley conform` is this package for people.
//
//	func main() {
//		conform.Play()
//		report, err := conform.Run(ctx, conform.Options{URL: "amqp://localhost"})
//
// A run works under a prefix of its own, and what it has made there is deleted when it ends, also when its context is done
// before. Some checks kill and freeze processes that publish and handle: those are this program again, which is why it
// calls [Play] first of all. A broker that runs elsewhere is not killed, as it is not ours: what needs that is not run, and
// the [Report] says so. A broker of embedded:// is started for the run, in a process of its own, and killed.
//
// What the checks send and handle is watched from outside: [Report.Points] are how long that took, and [Report.Marks] what
// was done to the processes meanwhile. [Report.HTML] is all of it as one page without anything from elsewhere.
package conform
