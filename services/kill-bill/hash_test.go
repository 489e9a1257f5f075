package killbill

import (
	"encoding/hex"
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// The vectors are from another implementation (Python's hashlib), the first also from FIPS 180-4.
func TestDigestIsSHA512InRounds(t *testing.T) {
	for _, c := range []struct {
		salt, secret string
		rounds       int
		want         string
	}{
		{"", "abc", 1, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{"", "abc", 2, "373a9f3a902cf561003b513c94c5164ba4af135cbc4eb4d856b89ea5609523f130bbe5e453e6c645b2765a265aaeb1390c82c913130870636cd0c8ecf980d851"},
		{"salt", "lazar", 200_000, "4a03549db6b18117b7fd1ba34c3e0561d43dc93fd73f66235a2af9ef0a4c05a63eac321882c210fb448d70469cd94c7508fc21258be3fbc5fbe3a39c21458a9d"},
	} {
		if got := hex.EncodeToString(digest([]byte(c.salt), c.secret, c.rounds)); got != c.want {
			t.Errorf("%q %q × %d = %s", c.salt, c.secret, c.rounds, got)
		}
	}
}

func TestHashModelHashesEachAuthenticatedCall(t *testing.T) {
	c := quick(t)
	c.Model = ModelHash
	s := serveSite(t, c)
	s.create(`{}`)
	if a := s.ask("GET", "/1.0/kb/accounts?externalKey=x", "", nil); a.status != http.StatusNotFound {
		t.Errorf("%d", a.status)
	}
	if a := s.ask("POST", "/1.0/kb/accounts", "{}", map[string]string{headerAPISecret: "wrong"}); a.status != http.StatusUnauthorized {
		t.Errorf("%d", a.status)
	}
	if a := s.ask("POST", "/1.0/kb/accounts", "{}", map[string]string{"Authorization": "-"}); a.status != http.StatusUnauthorized {
		t.Errorf("%d", a.status)
	}
	var hashes dto.Metric
	if err := s.counts.hashes.Write(&hashes); err != nil {
		t.Fatal(err)
	}
	if got := hashes.GetCounter().GetValue(); got != 3 {
		t.Errorf("%v hashes, want one for each call with the right password: 3", got)
	}
	tn, err := s.store.tenantBy(t.Context(), "api_key", "bob")
	if err != nil {
		t.Fatal(err)
	}
	if tn.rounds != 200_000 || !sameDigest(tn.secret, digest(tn.salt, "lazar", 200_000)) {
		t.Errorf("the stored secret has %d rounds, or is not their result", tn.rounds)
	}
}
