// Package network opens a [parley.Network] from a URL. It is the only package of the library that knows, and so
// links, every driver; whoever wants a small binary fills a parley.Network with the drivers' own constructors.
package network
