package targets

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func noEnv(string) string { return "" }

func TestLoadReference(t *testing.T) {
	got, err := Load("reference:before", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := &Target{
		Name: "reference", File: "reference.yaml (built-in)", Entry: "user", Profile: "before", Bundled: true, OverloadUsers: 50,
		Services: []Service{{Name: "user"}, {Name: "billing"}, {Name: "instance"}, {Name: "kill-bill"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plain, err := Load("reference", noEnv)
	if err != nil || plain.Profile != "phase2" {
		t.Errorf("the default profile is %q (%v), want phase2", plain.Profile, err)
	}
}
