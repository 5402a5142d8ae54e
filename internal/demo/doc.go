// Package demo runs the example shop as separate processes beside a broker process, lets one of them fail on purpose, and
// tells in plain lines what happens. What it reports as lost or handled comes from the outside logs that the services
// append to, and not from Parley's own counters.
package demo
