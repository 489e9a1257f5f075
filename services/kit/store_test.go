package kit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStoreIsPrivateAndKeepsItsRows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space and %20?#")
	const schema = `CREATE TABLE IF NOT EXISTS x (id TEXT PRIMARY KEY, name TEXT UNIQUE)`
	for run := range 2 {
		db, err := OpenStore(t.Context(), dir, "s", 3, schema)
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.ExecContext(t.Context(), `INSERT INTO x VALUES ('a', 'b')`)
		if duplicate := IsDuplicate(err); duplicate != (run == 1) {
			t.Errorf("run %d: %v", run, err)
		}
		_, err = db.ExecContext(t.Context(), `INSERT INTO x VALUES ('c', 'b')`)
		if !IsDuplicate(err) {
			t.Errorf("a name twice: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if _, err := OpenStore(t.Context(), "", "s", 1, ""); err == nil {
		t.Error("a store without a directory was opened")
	}
}
