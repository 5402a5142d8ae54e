// Package demo runs the example shop and the example bank as separate processes beside a broker process, lets one of them
// fail on purpose, stops another for a while, and tells in plain lines what happens. What it reports as lost, handled or
// ended comes from the outside logs that the services append to, and not from Parley's own counters.
package demo
