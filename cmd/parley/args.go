package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// words wants least to most arguments, most < 0 = any number from least, and says which they are.
func words(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		_, wanted, some := strings.Cut(c.Use, " ")
		if !some {
			wanted = "no arguments"
		}
		got := "none"
		if len(args) > 0 {
			got = fmt.Sprintf("%q", args)
		}
		return fmt.Errorf("want %s, got %s", wanted, got)
	}
}
