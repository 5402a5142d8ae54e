package collector

import "github.com/parley-io/parley/ledger"

// watches are those who wait for news, by what they wait for: an id, a correlation or a key.
type watches map[string]map[*watch]bool

// watch is one who waits. Its names are guarded like the map.
type watch struct {
	news  chan struct{} // capacity 1
	names []string
}

func newWatch() *watch { return &watch{news: make(chan struct{}, 1)} }

// add makes news of name reach w.
func (ws watches) add(w *watch, name string) {
	if name == "" || ws[name][w] {
		return
	}
	if ws[name] == nil {
		ws[name] = make(map[*watch]bool)
	}
	ws[name][w] = true
	w.names = append(w.names, name)
}

func (ws watches) remove(w *watch) {
	for _, name := range w.names {
		delete(ws[name], w)
		if len(ws[name]) == 0 {
			delete(ws, name)
		}
	}
}

// notify tells those whom a batch concerns.
func (ws watches) notify(b *ledger.Batch) {
	if len(ws) == 0 {
		return
	}
	for i := range b.Transitions {
		t := &b.Transitions[i]
		for _, name := range [...]string{t.ID, t.Correlation, t.Key} {
			for w := range ws[name] {
				w.wake()
			}
		}
	}
}

// all tells everybody.
func (ws watches) all() {
	for _, some := range ws {
		for w := range some {
			w.wake()
		}
	}
}

func (w *watch) wake() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}
