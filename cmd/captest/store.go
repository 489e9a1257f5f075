package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/captest/captest/services"
)

// addStore adds --store. Its default is not CAPTEST_STORE, which may hold a password: --help shows defaults.
func addStore(f *pflag.FlagSet, url *string) {
	f.StringVar(url, "store", "", "PostgreSQL `database` for the bundled services: postgres://user@host/db, with the password in PGPASSWORD or\n"+
		"~/.pgpass; its rows stay (default: CAPTEST_STORE, or else sqlite, a file per service)")
}

// chooseStore gives the store of the bundled services: the flag's, the environment's, the target file's, or "" for SQLite.
func chooseStore(e *env, flag, file string) (string, error) {
	for _, from := range []struct{ name, url string }{{"--store", flag}, {"CAPTEST_STORE", e.getenv("CAPTEST_STORE")}, {"store", file}} {
		if from.url == "" {
			continue
		}
		if err := services.CheckStore(from.url); err != nil {
			return "", fmt.Errorf("%s: %w", from.name, err)
		}
		return from.url, nil
	}
	return "", nil
}
