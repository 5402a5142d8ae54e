package conform

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// stand is what a run tries its checks on.
type stand struct {
	features transport.Features
	site     func() transporttest.Site // of one check
	// end frees everything, and deletes what the run has made there.
	end func(ctx context.Context, known []transport.Route) error
}

// impossible is what nobody's broker of a kind can keep of the broker's suite, by the scheme of its URL: of the list in
// docs/brokers.md, what a run would try here.
var impossible = map[string]map[int]string{
	"mem":      transporttest.MemoryDeclared(),
	"kafka":    {9: "Kafka bounds a topic by dropping its oldest messages, so that RetainBytes of a Queue or Topic is recorded only"},
	"embedded": {42: "there are no users: who has the token may do everything"},
}

// remover is a broker that can delete what was made under its prefix: everything that it finds there or, where it cannot
// look, what is known.
type remover interface {
	RemoveAll(ctx context.Context, known []transport.Route) error
}

// stand opens the broker, and makes of it what checks are tried on.
func (p place) stand(ctx context.Context) (*stand, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openLimit, fmt.Errorf("gave up after %v", openLimit))
	defer cancel()
	switch p.Scheme() {
	case "mem":
		return inMemory(), nil
	case "embedded":
		return p.embedded(ctx)
	}
	return p.elsewhere(ctx)
}

// elsewhere is a broker that is not ours to kill.
func (p place) elsewhere(ctx context.Context) (*stand, error) {
	b, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	site := transporttest.Site{
		Open:    p.open,
		Command: func(ctx context.Context, args ...string) *exec.Cmd { return p.child(ctx, args) },
	}
	if _, ok := p.Through(nil); ok {
		site.Through = func(ctx context.Context, via func(string) string) (transport.Broker, error) {
			there, _ := p.Through(via)
			return there.Open(ctx, "conform")
		}
	}
	s := &stand{features: b.Features(), site: func() transporttest.Site { return site }, end: p.remove}
	return s, b.Close(ctx)
}

// remove deletes what was made under the prefix.
func (p place) remove(ctx context.Context, known []transport.Route) error {
	b, err := p.open(ctx)
	if err != nil {
		return fmt.Errorf("what was made under the prefix %s is left there: %w", p.Prefix(), err)
	}
	if r, ok := b.(remover); ok {
		err = r.RemoveAll(ctx, known)
	}
	return errors.Join(err, b.Close(ctx))
}

// embedded is a broker of this run's own, in a process of its own and a directory that is deleted with it.
func (p place) embedded(ctx context.Context) (*stand, error) {
	dir, err := p.directory()
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	d := &transporttest.Daemon{Role: []string{roleBroker, dir, token, "127.0.0.1:0"}}
	if err := d.Start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	end := func(ctx context.Context, _ []transport.Route) error {
		err := d.Kill(ctx)
		if errors.Is(err, os.ErrProcessDone) { // Ctrl-C reaches it, too
			err = nil
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	there, err := locate(strings.Replace(d.Address, "://", "://"+token+"@", 1)+"?survives=power", p.Prefix())
	if err != nil {
		return nil, errors.Join(err, end(ctx, nil))
	}
	s, err := there.elsewhere(ctx)
	if err != nil {
		return nil, errors.Join(err, end(ctx, nil))
	}
	reach := s.site
	s.site = func() transporttest.Site {
		site := reach()
		site.Kill, site.Down = d.Restart, d.Down
		return site
	}
	s.end = end
	return s, nil
}

// directory makes one for the data, on the disk that the URL names, else where this process is.
func (p place) directory() (string, error) {
	parent := cmp.Or(p.Directory(), ".")
	if err := os.MkdirAll(parent, 0o750); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, p.Prefix()+"-")
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// inMemory is mem, where processes are simulated.
func inMemory() *stand {
	return &stand{
		features: mem.New().Process("features").Broker().Features(),
		site:     func() transporttest.Site { return transporttest.Memory(mem.New(), nil) },
		end:      func(context.Context, []transport.Route) error { return nil },
	}
}
