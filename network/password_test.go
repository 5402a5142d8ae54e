package network

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
)

// secretFile is a file with a text.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAPasswordInAFileIsReadEachTimeWithoutTheNewlineAtItsEnd(t *testing.T) {
	t.Parallel()
	file := secretFile(t, "")
	asked := address{passwordFile: file}.asked()
	for _, c := range [][2]string{{"s3cret", "s3cret"}, {"s3cret\n", "s3cret"}, {"s3cret\r\n", "s3cret"}, {" s3cret \n\n", " s3cret \n"}} {
		text, want := c[0], c[1]
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := asked(); got != want || err != nil {
			t.Errorf("the password of a file with %q = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := asked(); err == nil || !strings.Contains(err.Error(), file+" is empty") {
			t.Errorf("the password of a file with %q = %q, %v; want an error that names the file and says that it is empty", text, got, err)
		}
	}
	if asked := (address{password: "s3cret"}).asked(); asked != nil {
		t.Error("asked of a URL without a file is something, want nil")
	}
}

func TestAFileWithoutAPasswordIsToldWithTheOtherProblems(t *testing.T) {
	t.Parallel()
	missing, empty := filepath.Join(t.TempDir(), "missing"), secretFile(t, "\n")
	for _, c := range []struct {
		url  string
		want []string
	}{
		{"amqp://ann@127.0.0.1:1?password-file=" + url.QueryEscape(missing), []string{"password-file: open " + missing, "WithSource"}},
		{"kafka://ann@127.0.0.1:1?password-file=" + url.QueryEscape(empty), []string{empty + " is empty", "WithSource"}},
	} {
		_, err := Open(t.Context(), c.url, WithSource("Big"))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Open(%q) = %v; want it to say %q", c.url, err, want)
			}
		}
	}
}

func TestWhatADriverSaysHoldsNoPasswordOfAFile(t *testing.T) {
	t.Parallel()
	where := address{scheme: schemeAMQP, user: "ann", passwordFile: secretFile(t, "s3cret/word\n")}
	got := where.discreet(&transport.Error{Code: transport.Unauthenticated, Message: "s3cret/word or s3cret%2Fword is wrong for ann"})
	if text := got.Error(); strings.Contains(text, "s3cret") || !strings.Contains(text, "ann") || transport.CodeOf(got) != transport.Unauthenticated {
		t.Errorf("discreet = %v; want the same error without the password", got)
	}
}

func TestATokenInAFileThatChangesIsShownToASharedEmbeddedNetwork(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	dir, file := t.TempDir(), secretFile(t, token+"\n")
	var where string
	ready := func(u string) { where = u }
	owner := open(t, "embedded://"+dir, WithSharing("127.0.0.1:0", token, ready), WithSource("owner"))
	client := open(t, where+"?survives=power&password-file="+url.QueryEscape(file), WithSource("client"))
	wantTrail(t, client)
	if err := owner.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	const next = "another-" + token
	if err := os.WriteFile(file, []byte(next+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, "embedded://"+dir, WithSharing(strings.TrimPrefix(where, "nats://"), next, ready), WithSource("owner"))
	wantSent(t, client.Messages)
}

// wantFile opens a server of the kind with the password of its URL in a file.
func wantFile(t *testing.T, kind servers.Kind, server string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	password, ok := u.User.Password()
	if !ok {
		return // it knows no users
	}
	u.User = url.User(u.User.Username())
	parameter := "password-file=" + url.QueryEscape(secretFile(t, password+"\n"))
	wantSend(t, string(kind)+" with a password in a file", open(t, u.String()+onBroker[kind]+"&"+parameter), nil)
	wrong := "password-file=" + url.QueryEscape(secretFile(t, "s3cret-word\n"))
	_, err = Open(t.Context(), u.String()+onBroker[kind]+"&"+wrong)
	if code := transport.CodeOf(err); code != transport.Unauthenticated && code != transport.PermissionDenied || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%s with a wrong password in a file = %v (%s), want unauthenticated without the password", kind, err, code)
	}
}

// wantSent wants a message stored within a minute, however long the broker still is away.
func wantSent(t *testing.T, b transport.Broker) {
	t.Helper()
	c := transport.Channel{Address: "shop.v1.rotated", Pattern: transport.Queue}
	e := &transport.Envelope{ID: "rotated", Source: "test", Address: c.Address}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := b.Declare(t.Context(), []transport.Channel{c})
		if err == nil {
			err = b.Send(t.Context(), []*transport.Envelope{e})[0].Err
		}
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("sending a minute after a token was changed on both sides: %v; want it stored", err)
		}
	}
}
