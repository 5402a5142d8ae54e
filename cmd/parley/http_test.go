package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdHTTP is "http METHOD URL [BODY] [HEADER:VALUE…]", as curl would: it prints the status, the headers that matter, and
// the body. BODY "" is none.
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: http METHOD URL [BODY] [HEADER:VALUE…]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var body io.Reader
	if len(args) > 2 && args[2] != "" {
		body = strings.NewReader(args[2])
	}
	r, err := http.NewRequestWithContext(ctx, args[0], args[1], body)
	ts.Check(err)
	for _, h := range args[min(3, len(args)):] {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Set(name, value)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	ts.Check(err)
	out := ts.Stdout()
	fmt.Fprintln(out, answer.StatusCode)
	for _, name := range []string{"Etag", "Location", "Preference-Applied", "Retry-After"} {
		for _, value := range slices.Sorted(slices.Values(answer.Header[name])) {
			fmt.Fprintf(out, "%s: %s\n", name, value)
		}
	}
	fmt.Fprintf(out, "%s\n", b)
}

// cmdEventually is "eventually TEXT PROGRAM ARG…": it runs a program until it says the text, on standard output or error, for
// a while. How the program ends does not matter.
func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually TEXT PROGRAM ARG…")
	}
	for end := time.Now().Add(patience); ; {
		err := ts.Exec(args[1], args[2:]...)
		if strings.Contains(ts.ReadFile("stdout"), args[0]) || strings.Contains(ts.ReadFile("stderr"), args[0]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("it does not say %q after %v: %v", args[0], patience, err)
		}
	}
}
