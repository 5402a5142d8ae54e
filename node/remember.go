package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-json-experiment/json"
)

// memory is what a node keeps beside its data, so that the next one there is to services the one that they know: they
// come back to it by themselves. It is a JSON file that only the user can read.
type memory struct {
	Format int    `json:"v"`
	Token  string `json:"token"`  // of the network
	Broker string `json:"broker"` // "host:port" on which the broker listened
}

const (
	memoryFile   = "node.json"
	memoryFormat = 1
)

// recall reads what the last node on a directory kept. Where there was none it makes a new token.
func recall(dir string) (memory, error) {
	path := filepath.Join(dir, memoryFile)
	b, err := os.ReadFile(path)                                            //nolint:gosec // of the user's own data
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // what is wrong with dir, its owner says
		return memory{Format: memoryFormat, Token: rand.Text()}, nil
	}
	var m memory
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err == nil && m.Format != memoryFormat {
		err = fmt.Errorf("format %d of another version of parley, want %d", m.Format, memoryFormat)
	}
	if err != nil {
		return m, fmt.Errorf("read %s: %w; without this file, services that run have to be started again", path, err)
	}
	return m, nil
}

// keep stores m for the next node on a directory.
func (m memory) keep(dir string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, memoryFile)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
