package kafka_test

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
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

// users of a server that lets nobody in without one.
const (
	admin, adminPassword = "admin", "admin-no-secret"
	alice, alicePassword = "alice", "alice-no-secret" // who has no rights but those that a test gives
	ownerName            = "owner"                    // by SCRAM, who may do everything
)

func withUsers() map[string]string {
	return map[string]string{
		"listener.security.protocol.map":                       "CLIENTS:SASL_PLAINTEXT,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"sasl.enabled.mechanisms":                              "PLAIN,SCRAM-SHA-256",
		"sasl.mechanism.inter.broker.protocol":                 "PLAIN",
		"listener.name.clients.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.clients.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required username="` + admin + `" password="` + adminPassword +
			`" user_` + admin + `="` + adminPassword + `" user_` + alice + `="` + alicePassword + `";`,
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:" + admin + ";User:" + ownerName + ";User:ANONYMOUS", // the controller's listener has no users
	}
}

func TestUsersAndRights(t *testing.T) {
	t.Parallel()
	settings := withUsers()
	settings["listener.name.clients.scram-sha-256.connections.max.reauth.ms"] = "2000"
	s := server(t, settings)
	adm := kadm.NewClient(raw(t, s, kgo.SASL(plain.Auth{User: admin, Pass: adminPassword}.AsMechanism())))
	if _, err := adm.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{
		{User: "bob", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "bob-no-secret"},
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sasl kafka.SASL
		code transport.Code // "" = it works
	}{
		{kafka.SASL{}, transport.FailedPrecondition},
		{kafka.SASL{Mechanism: "plain", User: alice, Password: "wrong-no-secret"}, transport.Unauthenticated},
		{kafka.SASL{Mechanism: "scram-sha-256", User: "bob", Password: "wrong-no-secret"}, transport.Unauthenticated},
		{kafka.SASL{Mechanism: "scram-sha-512", User: "bob", Password: "bob-no-secret"}, transport.FailedPrecondition},
		{kafka.SASL{Mechanism: "scram-sha-256", User: "bob", Password: "bob-no-secret"}, ""},
		{kafka.SASL{Mechanism: "plain", User: alice, Password: alicePassword}, ""},
		{kafka.SASL{Mechanism: "plain", User: alice, Ask: func() (string, error) { return alicePassword, nil }}, ""},
		{kafka.SASL{Mechanism: "scram-sha-256", User: "bob", Ask: func() (string, error) { return "", nil }}, transport.Unavailable},
	} {
		b, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address(s)}, SASL: c.sasl})
		if err == nil {
			closeIt(t, b)
		}
		if got := transport.CodeOf(err); got != c.code {
			t.Errorf("Open by %q as %q = %v, code %q; want %q", c.sasl.Mechanism, c.sasl.User, err, got, c.code)
		}
		if err != nil && (strings.Contains(err.Error(), "no-secret") || !strings.Contains(err.Error(), address(s))) {
			t.Errorf("Open by %q as %q = %v; want where it was tried, and no password", c.sasl.Mechanism, c.sasl.User, err)
		}
	}
	rights(t, s, adm)
	rotated(t, s)
}

// rights are those of the package's comment, without those to write to one topic and to do anything with another.
func rights(t *testing.T, s *servers.Server, adm *kadm.Client) {
	t.Helper()
	const prefix = "rights"
	for _, acl := range []*kadm.ACLBuilder{
		kadm.NewACLs().Allow("User:"+alice).AllowHosts().ResourcePatternType(kadm.ACLPatternPrefixed).
			Topics(prefix+".").Operations(kadm.OpCreate, kadm.OpDescribe, kadm.OpDescribeConfigs, kadm.OpRead, kadm.OpWrite, kadm.OpDelete),
		kadm.NewACLs().Allow("User:"+alice).AllowHosts().ResourcePatternType(kadm.ACLPatternPrefixed).
			Groups(prefix+".").Operations(kadm.OpRead, kadm.OpDescribe, kadm.OpDelete),
		kadm.NewACLs().Allow("User:"+alice).AllowHosts().ResourcePatternType(kadm.ACLPatternPrefixed).
			TransactionalIDs(prefix+".").Operations(kadm.OpWrite, kadm.OpDescribe),
		kadm.NewACLs().Deny("User:" + alice).DenyHosts().ResourcePatternType(kadm.ACLPatternLiteral).
			Topics(prefix + ".read.only").Operations(kadm.OpWrite),
		kadm.NewACLs().Deny("User:" + alice).DenyHosts().ResourcePatternType(kadm.ACLPatternLiteral).
			Topics(prefix + ".write.only").Operations(kadm.OpRead),
		kadm.NewACLs().Deny("User:" + alice).DenyHosts().ResourcePatternType(kadm.ACLPatternLiteral).
			Topics(prefix + ".nothing").Operations(kadm.OpAll),
	} {
		if results, err := adm.CreateACLs(t.Context(), acl); err != nil || slices.ContainsFunc(results, func(r kadm.CreateACLsResult) bool { return r.Err != nil }) {
			t.Fatalf("making rights: %v, %v", results, err)
		}
	}
	b, err := kafka.Open(t.Context(), kafka.Options{
		Brokers: []string{address(s)}, Prefix: prefix, SASL: kafka.SASL{Mechanism: "plain", User: alice, Password: alicePassword},
	})
	if err != nil {
		t.Fatalf("Open = %v; want nil", err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	channel := func(address string) transport.Channel {
		return transport.Channel{Address: address, Pattern: transport.Queue, Partitions: 1}
	}
	denied := func(what string, err error) {
		t.Helper()
		if transport.CodeOf(err) != transport.PermissionDenied || !strings.Contains(err.Error(), "right") {
			t.Errorf("%s = %v; want permission-denied that says which right", what, err)
		}
	}
	declare(t, b, channel("all.right"), channel("read.only"), channel("write.only"))
	err = b.Declare(t.Context(), []transport.Channel{channel("nothing")})
	denied("Declare of a topic without rights", err)
	if !errors.Is(err, transport.ErrRefused) {
		t.Errorf("Declare of a topic without rights = %v; want ErrRefused", err)
	}
	if r := b.Send(t.Context(), []*transport.Envelope{envelope(channel("read.only"), "k"), envelope(channel("all.right"), "k")}); !errors.Is(r[0].Err, transport.ErrRefused) || r[1].Err != nil {
		t.Errorf("receipts = %v, %v; want ErrRefused where we may not write, and nil beside it", r[0].Err, r[1].Err)
	}
	denied("Receive of a topic that we may not read", b.Receive(t.Context(), transport.Route{Channel: channel("write.only")}, func(*transport.Delivery) {}))
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: channel("all.right")})
	x.Done(1)
	later := envelope(channel("all.right"), "k")
	later.NotBefore = time.Now().Add(time.Second)
	forbidden := envelope(channel("read.only"), "k") // which nobody with these rights can move: it must not stop the others
	forbidden.NotBefore = time.Now().Add(500 * time.Millisecond)
	send(t, b, forbidden, later)
	x.Done(1)
	x.Stop()
}

// rotated: the broker ends the connections of who does not show the new password in time; all goes on with it.
func rotated(t *testing.T, s *servers.Server) {
	t.Helper()
	o, err := newOwner(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := kafka.Open(t.Context(), o.options(address(s), "rotated"))
	if err != nil {
		t.Fatalf("Open = %v; want nil", err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	c := transport.Channel{Address: "rotated.v1.queue", Pattern: transport.Queue, Partitions: 1}
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	if err := o.change(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(patience)
	for sent := error(nil); sent == nil; {
		if time.Now().After(limit) {
			t.Fatalf("Send = nil for %v with a password that is not right any longer; want the broker to refuse it", patience)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		sent = b.Send(ctx, []*transport.Envelope{envelope(c, "k")})[0].Err
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Declare(ctx, []transport.Channel{c}); !errors.Is(err, transport.ErrNotSent) || ctx.Err() != nil {
		t.Errorf("Declare with a password that is not right any longer = %v; want ErrNotSent, as it may be repeated", err)
	}
	if err := o.learn(); err != nil {
		t.Fatal(err)
	}
	insist(t, b, c)
	last := envelope(c, "k")
	send(t, b, last)
	x.DoneUntil(last.ID)
	x.Stop()
}

func TestTLS(t *testing.T) {
	t.Parallel()
	file, pool := certificate(t)
	s := server(t, map[string]string{
		"listener.security.protocol.map": "CLIENTS:SSL,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"ssl.keystore.type":              "PEM", "ssl.keystore.location": file,
		"ssl.truststore.type": "PEM", "ssl.truststore.location": file,
	})
	for _, c := range []struct {
		name string
		tls  *tls.Config
		code transport.Code
	}{
		{"no TLS", nil, transport.FailedPrecondition},
		{"an unknown authority", &tls.Config{MinVersion: tls.VersionTLS12}, transport.Unauthenticated},
		{"the right authority", &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, ""},
	} {
		b, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address(s)}, TLS: c.tls})
		if err == nil {
			closeIt(t, b)
		}
		if got := transport.CodeOf(err); got != c.code {
			t.Errorf("Open with %s = %v, code %q; want %q", c.name, err, got, c.code)
		}
	}
}

// certificate makes a key with a certificate for the loopback, in one file.
func certificate(t *testing.T) (file string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "loopback"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	file = filepath.Join(t.TempDir(), "server.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return file, pool
}

func TestNobodyThereAndSettingsThatLoseMessages(t *testing.T) {
	t.Parallel()
	if _, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{"127.0.0.1:1"}}); transport.CodeOf(err) != transport.Unavailable || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("Open where nobody listens = %v; want unavailable, naming the address", err)
	}
	s := server(t, map[string]string{"unclean.leader.election.enable": "true"})
	_, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address(s)}})
	if transport.CodeOf(err) != transport.FailedPrecondition || !strings.Contains(err.Error(), "unclean.leader.election.enable=false") {
		t.Errorf("Open of a cluster that loses messages = %v; want failed-precondition that names the setting", err)
	}
	_, err = kafka.Open(t.Context(), kafka.Options{Brokers: []string{address(s)}, Replicas: 3})
	if err == nil || !strings.Contains(err.Error(), "3 replicas on 1 brokers") {
		t.Errorf("Open with more replicas than brokers = %v; want an error that names both numbers", err)
	}
}
