package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what `parley version` prints.
type version struct {
	Version string `json:"version"` // "(devel)" unless it was built from a released module
	Commit  string `json:"commit,omitzero"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: words(0, 0),
		Example: "  parley version\n  parley version -o json",
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			return showOne(a, v, func(t *table) { t.row(fmt.Sprintf("parley %s (%s, %s)", v.Version, v.Go, v.System)) })
		},
	}
}

func readVersion() version {
	v := version{Version: "unknown", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = build.Main.Version
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
