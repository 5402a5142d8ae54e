package delivery

// Status is what a [Consumer] does at one moment. The counts are of this consumer since it was made.
type Status struct {
	Address  string `json:"address"`
	Receiver string `json:"receiver"` // the group, or the address of a Queue
	Running  bool   `json:"running"`
	Paused   bool   `json:"paused"`
	Because  string `json:"because,omitzero"` // the reason of the pause

	InFlight int64 `json:"in_flight"` // received and not settled: waiting, running, or not yet confirmed
	Stuck    int64 `json:"stuck"`     // of those: the broker refuses their dead letter or delayed copy, again and again

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
	return Status{
		Address: c.subscription.Channel.Address, Receiver: c.subscription.receiver(),
		Running: c.state == receiving, Paused: c.paused, Because: c.because,
		InFlight: c.counts.inFlight.Load(), Stuck: c.counts.stuck.Load(),
		Handled: c.counts.handled.Load(), Failed: c.counts.failed.Load(), Delayed: c.counts.delayed.Load(),
		Dead: c.counts.dead.Load(), Filtered: c.counts.filtered.Load(), Expired: c.counts.expired.Load(),
	}
}

// Pause starts no more handlers and fetches no more messages until Resume; handlers that run go on. What has been
// fetched waits here, and still goes back to the broker when Run's context ends. A second Pause only changes the reason.
func (c *Consumer) Pause(reason string) { c.setPaused(true, reason, 0) }

// Resume ends a pause. Without one it does nothing.
func (c *Consumer) Resume() { c.setPaused(false, "", c.subscription.credit()) }

func (c *Consumer) setPaused(on bool, reason string, credit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused != on {
		c.credit.Set(credit)
		c.queue.pause(on)
	}
	c.paused, c.because = on, reason
}
