package delivery

import "time"

// Status is what a [Consumer] does at one moment. The counts are of this consumer since it was made.
type Status struct {
	Address  string `json:"address"`
	Receiver string `json:"receiver"` // the group, or the address of a Queue
	Running  bool   `json:"running"`
	Paused   bool   `json:"paused"`
	Because  string `json:"because,omitzero"` // the reason of the pause
	// Probe is when the kill switch, which has paused it, tries a message; zero = the pause waits for Resume.
	Probe       time.Time `json:"probe,omitzero"`
	Concurrency int       `json:"concurrency"` // handlers at once, at the most

	InFlight int64 `json:"in_flight"` // received and not settled: waiting, running, or not yet confirmed
	Stuck    int64 `json:"stuck"`     // of those: the broker refuses their dead letter or delayed copy, again and again

	StoppedKeys int `json:"stopped_keys,omitzero"` // of the whole group, where Subscription.StopKey is set

	Handled  int64 `json:"handled"`
	Failed   int64 `json:"failed"`  // attempts
	Delayed  int64 `json:"delayed"` // copies that come back later
	Dead     int64 `json:"dead"`    // dead letters
	Filtered int64 `json:"filtered"`
	Expired  int64 `json:"expired"`
}

// Status is what c does now.
func (c *Consumer) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := 0
	if c.stopped != nil {
		keys = c.stopped.count()
	}
	now, probe := c.state(), time.Time{}
	if !c.paused {
		probe = c.kill.probe
	}
	return Status{
		StoppedKeys: keys, Probe: probe, Concurrency: now.concurrency,
		Address: c.subscription.Channel.Address, Receiver: c.subscription.receiver(),
		Running: c.phase == receiving, Paused: now.paused, Because: now.because,
		InFlight: c.counts.inFlight.Load(), Stuck: c.counts.stuck.Load(),
		Handled: c.counts.handled.Load(), Failed: c.counts.failed.Load(), Delayed: c.counts.delayed.Load(),
		Dead: c.counts.dead.Load(), Filtered: c.counts.filtered.Load(), Expired: c.counts.expired.Load(),
	}
}
