package network_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-io/parley/network"
)

func TestAPlaceIsShownWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"mem://": "mem://", "embedded:///var/x": "embedded:///var/x", "nats://a:1,b": "nats://a:1,b",
		"nats://tok@a?survives=power": "nats://xxxxx@a?survives=power", "amqp://u:p%40%2F@a,b/v": "amqp://xxxxx@a,b/v",
		"kafka://u:p@a:1?sasl=plain": "kafka://xxxxx@a:1?sasl=plain",
	} {
		p, err := network.Locate(raw)
		if err != nil || p.String() != want {
			t.Errorf("Locate(%q) = %v, %v; want %s", raw, p, err, want)
		}
	}
	p, err := network.Locate("amqp://u:p%40ss%2F@a")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Hide("no: p@ss/ p%40ss%2F"); got != "no: xxxxx xxxxx" {
		t.Errorf("Hide = %q; want no password in any form", got)
	}
}

func TestAPlaceTellsItsPrefixAndDirectory(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][3]string{
		"embedded://": {"embedded", "", ""}, "embedded://./x?prefix=a": {"embedded", "./x", "a"},
		"tls://a": {"nats", "", ""}, "amqps://a?prefix=b": {"amqp", "", "b"}, "kafka://a": {"kafka", "", ""},
	} {
		p, err := network.Locate(raw)
		if err != nil {
			t.Errorf("Locate(%q) = %v", raw, err)
			continue
		}
		if got := [3]string{p.Scheme(), p.Directory(), p.Prefix()}; got != want || p.Under("c").Prefix() != "c" || p.Prefix() != want[2] {
			t.Errorf("Locate(%q) has %q; want %q, and its own prefix after Under", raw, got, want)
		}
	}
}

func TestAPlaceIsReachedByOtherAddressesWhereItsServersHaveNoSay(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"nats://tok@a,b:2": "a:4222 b:2", "amqp://u:p@localhost/": "localhost:5672",
		"kafka://a": "", "amqps://a": "", "tls://a": "", "mem://": "", "embedded://": "",
	} {
		p, err := network.Locate(raw)
		if err != nil {
			t.Fatal(err)
		}
		var asked []string
		if _, ok := p.Through(func(address string) string { asked = append(asked, address); return "127.0.0.1:1" }); ok != (want != "") || strings.Join(asked, " ") != want {
			t.Errorf("Through of %s asked about %q, %v; want %q", raw, asked, ok, want)
		}
	}
}

func TestAPlaceWhoseFilesCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	none, empty := filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{"amqps://a?ca=" + none, "amqp://u@a?password-file=" + none, "amqp://u@a?password-file=" + empty, "http://a"} {
		if _, err := network.Locate(raw); !errors.Is(err, network.ErrURL) {
			t.Errorf("Locate(%q) = %v; want ErrURL", raw, err)
		}
	}
	p, err := network.Locate("mem://")
	if err == nil {
		_, err = p.Open(t.Context(), "test")
	}
	if err == nil || !strings.Contains(err.Error(), "mem://") {
		t.Errorf("opening the broker of mem:// = %v; want an error that names it", err)
	}
}
