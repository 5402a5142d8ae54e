package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// machine is what the figures were measured on and with. What cannot be found out is empty.
type machine struct {
	System   string            `json:"system"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Load     string            `json:"load"` // of the last 1, 5 and 15 minutes, when the run began
	Go       string            `json:"go"`
	Versions map[string]string `json:"versions"`
	SyncedUS float64           `json:"synced_write_us"` // median of a 4 KiB write with fsync, where the data is
	Profiled bool              `json:"profiled,omitzero"`
}

// measured are the modules whose versions matter.
var measured = []string{
	"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "github.com/rabbitmq/amqp091-go", "github.com/twmb/franz-go",
	"github.com/ThreeDotsLabs/watermill", "github.com/ThreeDotsLabs/watermill-amqp/v3", "github.com/ThreeDotsLabs/watermill-kafka/v3",
	"github.com/ThreeDotsLabs/watermill-nats/v2", "github.com/IBM/sarama", "github.com/go-json-experiment/json", "modernc.org/sqlite",
}

func look(c config) (machine, error) {
	m := machine{
		System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(),
		CPU: field("/proc/cpuinfo", "model name"), Versions: make(map[string]string), Profiled: c.profile != "",
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if slices.Contains(measured, d.Path) {
				m.Versions[d.Path] = d.Version
			}
		}
	}
	var err error
	m.SyncedUS, err = syncedWrite(c.dir)
	return m, err
}

func (m machine) write(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores %s, load %s, %s\n", m.System, m.Cores, m.CPU, m.Load, m.Go)
	for _, path := range measured {
		fmt.Fprintf(w, "%s %s\n", path, m.Versions[path])
	}
	fmt.Fprintf(w, "a synced write of 4 KiB to this disk: %.0f µs\n", m.SyncedUS)
	if m.Profiled {
		fmt.Fprintln(w, "profiled, which costs some percent")
	}
}

// field is the value of the first line of a file like /proc/cpuinfo that has that name.
func field(file, name string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// syncedWrite is the median time, in microseconds, of a hundred writes of 4 KiB that are on disk.
func syncedWrite(dir string) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "synced"))
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // each write was synced
	var took []float64
	block := make([]byte, 4<<10)
	for range 100 {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, float64(time.Since(began))/float64(time.Microsecond))
	}
	return median(took), nil
}
