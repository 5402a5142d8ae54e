package nats_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// refused wants Open to fail with a code and a message that has all of these words, and no password.
func refused(t *testing.T, o nats.Options, code transport.Code, words ...string) {
	t.Helper()
	begin := time.Now()
	b, err := nats.Open(t.Context(), o)
	if err == nil {
		closeIt(t, b)
		t.Fatalf("Open = nil; want an error with code %s", code)
	}
	if got := transport.CodeOf(err); got != code {
		t.Errorf("Open = %v, code %s; want %s", err, got, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Open = %v; want it to say %q", err, w)
		}
	}
	if u, e := url.Parse(o.URL); e == nil && u.User != nil {
		if p, _ := u.User.Password(); p != "" && strings.Contains(err.Error(), p) {
			t.Errorf("Open = %v; want no password in it", err)
		}
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("Open took %v; want an answer as soon as the server gives it", took)
	}
}

func TestAServerThatWouldLoseMessagesIsRefused(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		settings map[string]string
		options  nats.Options
		words    []string
	}{
		"without JetStream":             {map[string]string{"jetstream": "false"}, nats.Options{}, []string{"JetStream is off", "jetstream {"}},
		"with small messages":           {map[string]string{"max_payload": "65536"}, nats.Options{}, []string{"max_payload is 65536", "want at least"}},
		"alone, for several replicas":   {nil, nats.Options{Replicas: 3}, []string{"3 replicas", "in no cluster"}},
		"alone, to survive a lost node": {nil, nats.Options{Survives: "node"}, []string{"node", "in no cluster"}},
		"all of it at once":             {map[string]string{"max_payload": "65536"}, nats.Options{Replicas: 3}, []string{"max_payload is 65536", "3 replicas"}},
		"whose account has no disk": {
			map[string]string{
				"authorization": "{}", "no_auth_user": "u",
				"accounts": `{A: {users: [{user: u, password: "a password"}], jetstream: {max_file: 0, max_mem: 1GB}}}`,
			},
			nats.Options{}, []string{"nothing on disk", "max_file"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x.options.URL = startProcess(t, x.settings).URL
			if x.settings["no_auth_user"] != "" {
				x.options.URL = strings.Replace(x.options.URL, url.PathEscape(userinfo(t, x.options.URL))+"@", "", 1)
			}
			refused(t, x.options, transport.FailedPrecondition, x.words...)
		})
	}
}

func userinfo(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.User.String()
}

func TestAStreamWhoseSettingsLoseMessagesIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	declare(t, b, keyed)
	nc, err := natsio.Connect("", natsio.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "parley_orders_v1_placed")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	config.Storage, config.Discard, config.MaxMsgs = jetstream.MemoryStorage, jetstream.DiscardOld, 10
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	err = open(t, s).Declare(t.Context(), []transport.Channel{keyed})
	for _, word := range []string{config.Name, "storage", "discard", "number of messages"} {
		if !errors.Is(err, transport.ErrRefused) || !strings.Contains(err.Error(), word) {
			t.Errorf("Declare = %v; want ErrRefused that says %q", err, word)
		}
	}
}

func TestWrongCredentialsAreNamedAsSuch(t *testing.T) {
	t.Parallel()
	s := startProcess(t, nil)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	wrong := *u
	wrong.User = url.UserPassword("parley", "not-the-password")
	refused(t, nats.Options{URL: wrong.String()}, transport.Unauthenticated, "credentials", u.Host)
	secure := *u
	secure.Scheme = "tls"
	refused(t, nats.Options{URL: secure.String()}, transport.FailedPrecondition, "no TLS", "nats://")
	away := *u
	away.Host = "127.0.0.1:1"
	if _, err := nats.Open(t.Context(), nats.Options{URL: away.String()}); err == nil || transport.CodeOf(err) != transport.Unknown || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("Open where no server is = %v, code %s; want an error that names the place and leaves open whether it may work later", err, transport.CodeOf(err))
	}
}

func TestAMissingRightIsAnErrorAndNotAnEndlessTry(t *testing.T) {
	t.Parallel()
	allowed := func(deny string) string {
		return fmt.Sprintf(`{users: [{user: parley, password: "a-word", permissions: {publish: {deny: [%s]}, subscribe: {allow: [">"]}}}]}`, deny)
	}
	at := func(t *testing.T, deny string) string {
		u, err := url.Parse(startProcess(t, map[string]string{"authorization": allowed(deny)}).URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("parley", "a-word")
		return u.String()
	}
	forbidden := func(t *testing.T, what string, err error) {
		t.Helper()
		if !errors.Is(err, transport.ErrRefused) || transport.CodeOf(err) != transport.PermissionDenied {
			t.Errorf("%s = %v, code %s; want ErrRefused and %s", what, err, transport.CodeOf(err), transport.PermissionDenied)
		}
	}
	t.Run("to JetStream", func(t *testing.T) {
		t.Parallel()
		refused(t, nats.Options{URL: at(t, `"$JS.API.INFO"`)}, transport.PermissionDenied, "$JS.API.INFO")
	})
	t.Run("to one channel and to partitions", func(t *testing.T) {
		t.Parallel()
		b, err := nats.Open(t.Context(), nats.Options{URL: at(t, `"parley.a_secret.>", "$KV.parley_owners.>"`)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeIt(t, b) })
		secret := transport.Channel{Address: "a.secret", Pattern: transport.Queue}
		public := transport.Channel{Address: "a.public", Pattern: transport.Queue}
		declare(t, b, secret, public, keyed)
		receipts := b.Send(t.Context(), []*transport.Envelope{envelope(secret, ""), envelope(public, "")})
		forbidden(t, "the receipt of what may not be sent", receipts[0].Err)
		if receipts[1].Err != nil {
			t.Errorf("the other receipt = %v; want nil", receipts[1].Err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		forbidden(t, "Receive of partitions", b.Receive(ctx, transport.Route{Channel: keyed, Group: "g"}, func(*transport.Delivery) {}))
	})
}

func TestTLSWantsATrustedServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	trusted := certify(t, dir)
	s := startProcess(t, map[string]string{
		"tls": fmt.Sprintf("{cert_file: %q, key_file: %q}", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")),
	})
	secure := strings.Replace(s.URL, "nats://", "tls://", 1)
	refused(t, nats.Options{URL: secure}, transport.Unauthenticated, "not trusted", "RootCAs")
	b, err := nats.Open(t.Context(), nats.Options{URL: secure, TLS: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS13}})
	if err != nil {
		t.Fatalf("Open = %v; want nil", err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	declare(t, b, keyed)
	send(t, b, envelope(keyed, "k"))
}

// certify writes cert.pem and key.pem for 127.0.0.1, and returns who trusts them.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "parley"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}
