// Package storetest runs the tests of the services against both stores: SQLite, then PostgreSQL.
//
// It stands beside kit and is for tests only. A suite is doubled in its TestMain and asks for its stores with URL:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Both(m).Run()) }
//
// The PostgreSQL server is named by CAPTEST_TEST_POSTGRES (see .ci/postgres). Without it that half is left out, or fails
// where CAPTEST_REQUIRE_POSTGRES is 1.
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	serverEnv  = "CAPTEST_TEST_POSTGRES"    // URL of a server where databases may be made
	requireEnv = "CAPTEST_REQUIRE_POSTGRES" // 1: a suite without a server fails
	halfEnv    = "CAPTEST_TEST_HALF"        // set by Both alone, for URL: "postgres" in the second half
)

// patience bounds every step at the server.
const patience = 30 * time.Second

// suite is a testing.M that runs twice.
type suite struct{ m interface{ Run() int } }

// Both gives a suite that runs against SQLite and then against PostgreSQL; its Run is what testing.M's is.
func Both(m interface{ Run() int }) interface{ Run() int } { return suite{m} }

func (s suite) Run() int {
	if code := s.m.Run(); code != 0 {
		return code
	}
	switch {
	case os.Getenv(serverEnv) != "":
		if err := os.Setenv(halfEnv, "postgres"); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL: storetest:", err)
			return 1
		}
		defer os.Unsetenv(halfEnv)
		fmt.Println("=== the same tests against PostgreSQL")
		return s.m.Run()
	case os.Getenv(requireEnv) == "1":
		fmt.Fprintf(os.Stderr, "FAIL: %s=1, but %s names no server; run the tests with .ci/postgres go test …\n", requireEnv, serverEnv)
		return 1
	default:
		fmt.Println("=== skipped against PostgreSQL: run .ci/postgres go test ./services/...")
		return 0
	}
}

// URL gives a test its store: "" in the half of SQLite, and in the half of PostgreSQL the URL of a new database, which is
// dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	// Asked for in either half: go test keeps the results of a suite for as long as the variables stand as the first half
	// found them; what is looked up after it goes unnoticed.
	for _, name := range []string{serverEnv, requireEnv} {
		_ = os.Getenv(name)
	}
	if !Postgres() {
		return ""
	}
	return Database(t)
}

// Postgres says whether this is the half of PostgreSQL, for a test in which the store does not matter and time does.
func Postgres() bool { return os.Getenv(halfEnv) != "" }

// Database makes a database on the PostgreSQL server for one test, and skips the test where there is no server.
func Database(t testing.TB) string {
	t.Helper()
	server := os.Getenv(serverEnv)
	if server == "" {
		if os.Getenv(requireEnv) == "1" {
			t.Fatalf("%s=1, but %s names no server", requireEnv, serverEnv)
		}
		t.Skipf("no PostgreSQL: run .ci/postgres go test ./services/...")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL", serverEnv) // without the URL: it may hold a password
	}
	name := "captest_test_" + strings.ToLower(rand.Text())
	admin(t, server, `CREATE DATABASE `+name)
	// FORCE: a service under the knob undo=leaks, or one that was killed, leaves connections behind.
	t.Cleanup(func() { admin(t, server, `DROP DATABASE `+name+` WITH (FORCE)`) })
	u.Path = "/" + name
	return u.String()
}

// admin runs one statement on a connection of its own.
func admin(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("%s: %v", serverEnv, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
