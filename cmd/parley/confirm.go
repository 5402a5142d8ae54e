package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// confirm says what is about to be done and asks whether it should be, unless yes. Where nobody can be asked, that is an
// error.
func (a *app) confirm(what string, yes bool) error {
	if yes {
		a.note("%s", what)
		return nil
	}
	if !terminal(a.in) {
		a.tell("would " + what + "\n")
		return usage(errors.New("nobody can be asked here; run it again with -y"))
	}
	a.tell(what + ". Go on? [y/N] ")
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return &failure{err: errors.New("not done"), exit: exitInterrupted}
	}
	return nil
}

func fraction(n, of int) string { return fmt.Sprintf("%d of %d", n, of) }
