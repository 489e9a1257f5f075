//go:build unix

package targets

import (
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/services"
)

func TestAServiceInheritsOnlyTheSecretsItNeeds(t *testing.T) {
	everything := func(name string) (string, bool) { return "x", true }
	for _, x := range []struct {
		options services.Options
		want    []string
	}{
		{services.Options{Service: "user"}, nil},
		{services.Options{Service: "user", Store: "sqlite"}, nil},
		{services.Options{Service: "user", Store: "postgres://ann@host/db"}, []string{"PGPASSWORD=x", "PGPASSFILE=x", "HOME=x"}},
		{services.Options{Service: "billing"}, []string{"KILLBILL_USER=x", "KILLBILL_PASSWORD=x", "KILLBILL_API_KEY=x", "KILLBILL_API_SECRET=x"}},
	} {
		got := slices.DeleteFunc(inherited(x.options, everything), func(v string) bool {
			return !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "HOME") && !strings.HasPrefix(v, "KILLBILL")
		})
		if !slices.Equal(got, x.want) {
			t.Errorf("%+v inherits %v, want %v", x.options, got, x.want)
		}
	}
}
