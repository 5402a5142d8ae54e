package network

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/internal/servers"
)

func TestABrokerIsSpokenToByTLSWhereItsURLSaysSo(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	certificate, key := selfSigned(t)
	port := freePort(t)
	server := startServer(t, servers.RabbitMQ, map[string]string{
		"listeners.ssl.local": port, "ssl_options.cacertfile": certificate, "ssl_options.certfile": certificate, "ssl_options.keyfile": key,
	})
	where, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	where.Scheme, where.Host, where.RawQuery = "amqps", port, "survives=process"
	plain := where.String()
	wantSend(t, "with ca=", open(t, plain+"&ca="+url.QueryEscape(certificate)), nil)

	trusted := x509.NewCertPool()
	if pem, err := os.ReadFile(certificate); err != nil || !trusted.AppendCertsFromPEM(pem) {
		t.Fatalf("read %s: %v", certificate, err)
	}
	wantSend(t, "with WithTLS", open(t, plain, WithTLS(&tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS13})), nil)

	began := time.Now()
	n, err := Open(t.Context(), plain)
	if err == nil {
		_ = n.Close(t.Context())
		t.Fatal("a certificate that nobody vouches for was accepted")
	}
	if !strings.Contains(err.Error(), "certificate") || time.Since(began) > connectLimit {
		t.Errorf("a certificate that nobody vouches for = %v after %v; want it named, at once", err, time.Since(began))
	}
}

// selfSigned makes a certificate for this machine, with its key, in files.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "parley test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &pair.PublicKey, pair)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", raw), write("key.pem", "PRIVATE KEY", private)
}

// freePort is an address that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
