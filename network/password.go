package network

import (
	"fmt"
	"os"
	"strings"
)

// asked is what a driver asks for the password at each connection; nil = it is the URL's.
func (a address) asked() func() (string, error) {
	if a.passwordFile == "" {
		return nil
	}
	return a.readPassword
}

// readPassword is what the password's file has now, without the newline at its end, which editors and shells leave there.
// Its error names the file and nothing of its content.
func (a address) readPassword() (string, error) {
	text, err := os.ReadFile(a.passwordFile)
	if err != nil {
		return "", fmt.Errorf("password-file: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if password == "" {
		return "", fmt.Errorf("password-file: %s is empty", a.passwordFile)
	}
	return password, nil
}

// token reports whether the user of a NATS URL is none, but a token.
func (a address) token() bool {
	return a.scheme == schemeNATS && a.password == "" && a.passwordFile == ""
}
