package http

// Drained counts the ended Answers that c remembers.
func Drained(c *Caller) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, a := range c.answered {
		if a.running.isShut() {
			n++
		}
	}
	return n
}
