package nats

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestADoubtIsKeptAsLongAsTheServerRemembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := &item{id: "id"}
		var d doubts
		if d.about("s", one) {
			t.Error("a doubt about what nobody noted")
		}
		d.note("s", one)
		if d.about("other", one) {
			t.Error("a doubt about the message in another stream")
		}
		time.Sleep(DedupeWindow)
		if !d.about("s", one) {
			t.Errorf("no doubt after %v; want one", DedupeWindow)
		}
		time.Sleep(2 * DedupeWindow)
		if d.about("s", one) {
			t.Errorf("a doubt after %v; want none", 3*DedupeWindow)
		}
		d.note("s", &item{}) // one without an identity
		if d.about("s", &item{}) {
			t.Error("a doubt about a message without an identity")
		}
	})
}
