package conform

import (
	"errors"
	"strings"
	"testing"

	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

func TestAPrefixBeginsWithThatOfTheURLAndIsNeverTheSame(t *testing.T) {
	t.Parallel()
	first, err := locate("nats://a?prefix=prod", "")
	second, err2 := locate("nats://a?prefix=prod", "")
	if err != nil || err2 != nil || first.Prefix() == second.Prefix() || !strings.HasPrefix(first.Prefix(), "prod-") {
		t.Errorf("got the prefixes %q and %q, %v, %v; want two that begin with prod- and are not the same", first.Prefix(), second.Prefix(), err, err2)
	}
	if err := transport.CheckPrefix(first.Prefix()); err != nil {
		t.Errorf("the prefix %q: %v", first.Prefix(), err)
	}
	child, err := locate("nats://a?prefix=prod", first.Prefix())
	if err != nil || child.Prefix() != first.Prefix() {
		t.Errorf("got the prefix %q of a child, %v; want that of its parent, %q", child.Prefix(), err, first.Prefix())
	}
}

func TestAWrongURLOrAPrefixThatIsTooLongIsAWrongOption(t *testing.T) {
	t.Parallel()
	if _, err := locate("http://a", ""); !errors.Is(err, ErrOptions) || !errors.Is(err, network.ErrURL) {
		t.Errorf("locate(http) = %v; want ErrOptions, and ErrURL of package network", err)
	}
	if _, err := locate("nats://a?prefix="+strings.Repeat("x", 30), ""); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "shorten") {
		t.Errorf("locate with a long prefix = %v; want ErrOptions, and that it has to be shorter", err)
	}
}
