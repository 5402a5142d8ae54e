package delivery

import (
	"strconv"
	"strings"
)

// A Copy is "" for the first of a message, "a4" for its delayed attempt 4, "r1" for its first redrive, "r1a4" for
// the delayed attempt 4 of that. A subscriber group appends its name ("a4-mail"), because brokers keep one of each
// (ID, Copy) and several groups may delay the same message.

// delayedCopy names the delayed attempt n of what has the Copy of.
func delayedCopy(of, group string, n int) string {
	base := ""
	if r := redrives(of); r > 0 {
		base = "r" + strconv.Itoa(r)
	}
	return forGroup(base+"a"+strconv.Itoa(n), group)
}

// redriveCopy names the next redrive of what has the Copy of.
func redriveCopy(of, group string) string {
	return forGroup("r"+strconv.Itoa(redrives(of)+1), group)
}

func forGroup(c, group string) string {
	if group == "" {
		return c
	}
	return c + "-" + group
}

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
