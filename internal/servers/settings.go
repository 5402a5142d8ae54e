package servers

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// lines are settings in the order of their keys.
func lines(settings map[string]string, between string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s%s%s\n", key, between, settings[key])
	}
	return b.String()
}

// cleanEnv is this process' environment without the variables that begin so.
func cleanEnv(prefixes ...string) []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}
