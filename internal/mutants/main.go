// Command mutants breaks Parley on purpose, one defect at a time, and runs the check that must notice. A mutant that
// survives is a promise that no check keeps.
//
// A mutant replaces one text of one file by another through the overlay of the go command; the working tree is not
// touched. It is killed when the check that its line names fails, and by nothing else: a mutant that does not compile, or
// whose check is not there, fails without the mutant or does not run, is a defect of the table.
//
//	go run ./internal/mutants                 all of them
//	go run ./internal/mutants -only NAME      one; several are joined by commas
//	go run ./internal/mutants -servers=false  those whose check needs no server of a broker
//	go run ./internal/mutants -list           what there is
//
// The exit code is 1 if a mutant survives or cannot be tried.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "the names of the mutants, joined by commas; \"\" = all")
	servers := flag.Bool("servers", true, "also those whose check needs the server of a broker")
	list := flag.Bool("list", false, "show the mutants and try none")
	limit := flag.Duration("timeout", 10*time.Minute, "how long one check may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, *servers, *list, *limit)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, servers, list bool, limit time.Duration) error {
	chosen, err := choose(mutants, only, servers)
	if err != nil {
		return err
	}
	if list {
		for _, m := range chosen {
			fmt.Printf("%-28s %-28s %s\n", m.name, m.file, m.defect)
		}
		return nil
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	l := &lab{root: root, limit: limit, sound: make(map[string]error)}
	begin, killed := time.Now(), 0
	var bad []string
	for _, m := range chosen {
		r := l.try(ctx, m)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped after %d of %d: %w", killed+len(bad), len(chosen), context.Cause(ctx))
		}
		fmt.Printf("%-9s %-28s %s: %s (%.0fs)\n", r.fate, m.name, m.dir, m.check, r.took.Seconds())
		if r.detail != "" {
			fmt.Printf("          %s\n", strings.ReplaceAll(r.detail, "\n", "\n          "))
		}
		if r.fate == dead {
			killed++
		} else {
			bad = append(bad, m.name)
		}
	}
	fmt.Printf("%d mutants in %v: %d killed\n", len(chosen), time.Since(begin).Round(time.Second), killed)
	if len(bad) > 0 {
		return fmt.Errorf("no check noticed, or none could be run: %s; again: go run ./internal/mutants -only %s", strings.Join(bad, ", "), strings.Join(bad, ","))
	}
	return nil
}

// choose are the mutants of these names, in the order of the table.
func choose(all []mutant, only string, servers bool) (chosen []mutant, err error) {
	names := strings.FieldsFunc(only, func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range names {
		if !slices.ContainsFunc(all, func(m mutant) bool { return m.name == name }) {
			return nil, fmt.Errorf("no mutant %q: go run ./internal/mutants -list shows them", name)
		}
	}
	for _, m := range all {
		if (len(names) == 0 || slices.Contains(names, m.name)) && (servers || !m.server) {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}
