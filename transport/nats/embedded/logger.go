package embedded

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// logger passes on what the server says about trouble and remembers the first error, which is why a start failed.
type logger struct {
	warn    func(string)
	alarmed *atomic.Bool // set with each error

	mu  sync.Mutex
	err error
}

func (*logger) Noticef(string, ...any) {}
func (*logger) Debugf(string, ...any)  {}
func (*logger) Tracef(string, ...any)  {}

func (l *logger) Warnf(format string, v ...any) {
	if l.warn != nil {
		l.warn(fmt.Sprintf(format, v...))
	}
}

func (l *logger) Errorf(format string, v ...any) {
	l.mu.Lock()
	if l.err == nil {
		l.err = fmt.Errorf(format, v...)
	}
	l.mu.Unlock()
	l.alarmed.Store(true)
	l.Warnf(format, v...)
}

// Fatalf does not end the process: the server ends itself, and Start says why.
func (l *logger) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l *logger) first() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
