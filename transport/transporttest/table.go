package transporttest

import (
	"fmt"
	"strings"
)

// Table is the page about brokers, in Markdown: what each can do, and which promises were tried on it with which
// outcome.
func Table(cards []*Card) string {
	var b strings.Builder
	b.WriteString(`# Brokers

What each broker can do, and what the suite of package transporttest found when it tried the promises that all of them
must keep. Made from docs/brokers by that package's tests; the files there are written by ` + "`" + updateVariable + `=1 go test` + "`" + ` in the
packages of the drivers, and compared in each run. Nothing here is written by hand.

## What they can do

`)
	row := func(what string, cell func(*Card) string) {
		b.WriteString("| " + what + " |")
		for _, c := range cards {
			b.WriteString(" " + cell(c) + " |")
		}
		b.WriteByte('\n')
	}
	head := func(what string) {
		row(what, func(c *Card) string { return c.Name })
		b.WriteString("|---|" + strings.Repeat("---|", len(cards)) + "\n")
	}
	yes := func(v bool) string {
		if v {
			return "yes"
		}
		return "no"
	}
	head("")
	row("largest message, body and headers", func(c *Card) string { return size(c.MaxBytes) })
	row("repeats of a message are stored once within", func(c *Card) string { return span(c.Dedupe) })
	row("longest delay that the broker itself carries", func(c *Card) string { return span(c.Delay) })
	row("streams, positions, replay", func(c *Card) string { return yes(c.Streams) })
	row("a receipt tells how many groups subscribe", func(c *Card) string { return yes(c.Audience) })
	row("a confirmed message survives the loss of", func(c *Card) string { return survives(c.Survives) })

	b.WriteString("\n## What was tried\n\n")
	head("promise")
	var notes []string
	for _, p := range Brokers() {
		row(fmt.Sprintf("%d %s", p.Number, p.Name), func(c *Card) string {
			x := c.check(p.Number)
			switch x.Outcome {
			case Declared:
				notes = append(notes, fmt.Sprintf("%s cannot keep %d (%s): %s.", c.Name, p.Number, p.Name, x.Reason))
			case NotRun:
				notes = append(notes, fmt.Sprintf("%s was not asked for %d (%s): %s.", c.Name, p.Number, p.Name, x.Reason))
			case Passed, Failed:
				if x.Long {
					return string(x.Outcome) + " (long suites)"
				}
				return string(x.Outcome)
			default:
				return "no result"
			}
			return fmt.Sprintf("%s (%d)", x.Outcome, len(notes))
		})
	}
	b.WriteString("\nWhat is declared is known to be impossible there, for the reason below. What was not run is open: the tests of that\n")
	b.WriteString("driver do not have the means, and nothing was shown. What has passed in the long suites was shown by `make battery-suites`,\n")
	b.WriteString("which has means that `make test` lacks, such as root's rights to take a disk its power: a run without them says nothing\n")
	b.WriteString("about it, and one with them that fails contradicts it.\n\n")
	for i, n := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, n)
	}
	b.WriteString("\n## The promises\n\n")
	for _, p := range Brokers() {
		fmt.Fprintf(&b, "- **%d %s.** %s *%s*\n", p.Number, p.Name, p.Promise, p.Reason)
	}
	return b.String()
}

func size(n int) string {
	if n%1024 == 0 {
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%d bytes", n)
}

func survives(what string) string {
	switch what {
	case "process":
		return "the broker's process"
	case "power":
		return "the broker's power"
	case "node":
		return "one of its nodes"
	}
	return what
}
