// Package validate keeps the finished runs of validations that take hours, so that they can be interrupted and called again.
//
// It is for tests only: `make validate` and `make validate-diagnosis`, which run the real program.
package validate

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Cache is the folder of the finished runs of this very source: CAPTEST_VALIDATE_CACHE or the user's cache, and in it one for
// each commit, and for each change on top of one.
func Cache(t *testing.T) string {
	t.Helper()
	root := os.Getenv("CAPTEST_VALIDATE_CACHE")
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("%v: set CAPTEST_VALIDATE_CACHE", err)
		}
		root = filepath.Join(user, "captest", "validate")
	}
	commit, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		t.Logf("not a clone, so nothing is kept: git rev-parse: %v", err)
		return t.TempDir()
	}
	name := strings.TrimSpace(string(commit))
	change, err := exec.Command("git", "diff", "HEAD", "--", ":/*.go", ":/*.yaml").Output()
	if err != nil {
		t.Fatalf("git diff: %v", err)
	}
	if len(bytes.TrimSpace(change)) > 0 {
		name += fmt.Sprintf("+%x", sha256.Sum256(change))[:13]
	}
	return filepath.Join(root, name)
}

// Kept reads a finished run into x and says whether there was one.
func Kept(file string, x any) bool {
	raw, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(raw, x) == nil
}

// Keep writes a finished run whole or not at all.
func Keep(t *testing.T, file string, x any) {
	t.Helper()
	raw, err := json.MarshalIndent(x, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		err = os.WriteFile(file+".part", raw, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".part", file)
	}
	if err != nil {
		t.Errorf("the run is not kept: %v", err)
	}
}
