package delivery

import (
	"strconv"
	"strings"
)

// A Copy is "" for the first of a message, "a4" for its delayed attempt 4, "r1" for its first redrive, "r1a4" for
// the delayed attempt 4 of that. Groups use the same names: brokers keep one of each (ID, Copy, Group).

// delayedCopy names the delayed attempt n of what has the Copy of.
func delayedCopy(of string, n int) string {
	base := ""
	if r := redrives(of); r > 0 {
		base = "r" + strconv.Itoa(r)
	}
	return base + "a" + strconv.Itoa(n)
}

// redriveCopy names the next redrive of what has the Copy of.
func redriveCopy(of string) string { return "r" + strconv.Itoa(redrives(of)+1) }

// redrives is how many redrives led to a Copy.
func redrives(of string) int {
	rest, ok := strings.CutPrefix(of, "r")
	if !ok {
		return 0
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	n, err := strconv.Atoi(rest[:end])
	if err != nil || n < 0 {
		return 0
	}
	return n
}
