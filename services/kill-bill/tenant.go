package killbill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"unicode/utf8"
)

// tenant is one customer of Kill Bill: accounts of different tenants never see each other.
// The secret is kept only as a salted hash.
type tenant struct {
	id, apiKey  string
	externalKey *string
	salt        []byte
	secret      []byte
	rounds      int
}

// tenantCache spares a lookup per call, as Kill Bill's own cache does. Tenants never change; it stops growing at a bound.
type tenantCache struct {
	mu    sync.RWMutex
	byKey map[string]*tenant
}

const tenantCacheSize = 1024

func newTenantCache() *tenantCache { return &tenantCache{byKey: map[string]*tenant{}} }

func (c *tenantCache) get(key string) *tenant {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byKey[key]
}

func (c *tenantCache) put(t *tenant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byKey) < tenantCacheSize {
		c.byKey[t.apiKey] = t
	}
}

func (s *Server) newTenant(key, secret string, external *string) *tenant {
	t := &tenant{id: newUUID(), apiKey: key, externalKey: external, salt: newSalt(), rounds: s.config.rounds()}
	t.secret = digest(t.salt, secret, t.rounds)
	return t
}

// ensureDefaultTenant makes the configured tenant, or gives it the configured secret and number of rounds.
func (s *Server) ensureDefaultTenant() error {
	t := s.newTenant(s.config.APIKey, s.config.APISecret, nil)
	_, err := s.store.db.ExecContext(context.Background(), `INSERT INTO tenants (id, api_key, external_key, salt, secret, rounds) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (api_key) DO UPDATE SET salt = excluded.salt, secret = excluded.secret, rounds = excluded.rounds`,
		t.id, t.apiKey, t.externalKey, t.salt, t.secret, t.rounds)
	if err != nil {
		return fmt.Errorf("default tenant: %w", err)
	}
	return nil
}

// tenantOf checks the keys of a call. The refusal is the container's page, in Shiro's words.
func (s *Server) tenantOf(ctx context.Context, key, secret string) (*tenant, *reply) {
	t := s.tenants.get(key)
	if t == nil {
		var err error
		if t, err = s.store.tenantBy(ctx, "api_key", key); err != nil {
			if !errors.Is(err, errAbsent) {
				r := caused("java.sql.SQLException", err.Error()).reply()
				return nil, &r
			}
			r := unauthorizedPage(fmt.Sprintf("Unable to find account data for the submitted AuthenticationToken [org.apache.shiro.authc.UsernamePasswordToken - %s, rememberMe=false].", key))
			return nil, &r
		}
		s.tenants.put(t)
	}
	if !sameDigest(s.counts.timeHash(func() []byte { return digest(t.salt, secret, t.rounds) }), t.secret) {
		r := unauthorizedPage(fmt.Sprintf("Submitted credentials for token [org.apache.shiro.authc.UsernamePasswordToken - %s, rememberMe=false] did not match the expected credentials.", key))
		return nil, &r
	}
	return t, nil
}

// tenantBy reads a tenant by a column of this package's choosing.
func (s *store) tenantBy(ctx context.Context, column, value string) (*tenant, error) {
	t := new(tenant)
	return t, s.one(ctx, `SELECT id, api_key, external_key, salt, secret, rounds FROM tenants WHERE `+column+` = ?`, []any{value},
		&t.id, &t.apiKey, &t.externalKey, &t.salt, &t.secret, &t.rounds)
}

// createTenant serves POST /1.0/kb/tenants.
func createTenant(c *call) reply {
	f, bad := bind(c.body, "org.killbill.billing.jaxrs.json.TenantJson", "tenantId", "externalKey", "apiKey", "apiSecret", "auditLogs")
	if bad != nil {
		return bad.reply()
	}
	if f == nil {
		return illegal("TenantJson body should be specified").reply()
	}
	key, secret, external := f.text("apiKey"), f.text("apiSecret"), f.text("externalKey")
	switch {
	case f.err != nil:
		return f.err.reply()
	case key == nil || *key == "":
		return illegal("TenantJson apiKey needs to be set").reply()
	case secret == nil || *secret == "":
		return illegal("TenantJson apiSecret needs to be set").reply()
	}
	if bad := c.needCreatedBy(); bad != nil {
		return bad.reply()
	}
	if external != nil && utf8.RuneCountInString(*external) > 255 {
		return billing(http.StatusBadRequest, "tenant.api.TenantApiException", codeKeyTooLong, "External key exceeded 255 characters").reply()
	}
	if utf8.RuneCountInString(*key) > 128 {
		return tooLong("api_key").reply()
	}
	t := c.s.newTenant(*key, *secret, external)
	if bad := c.api(func() *failure {
		return c.dao("TenantSqlDao: create", costLookup, func() *failure {
			err := c.s.store.insert(c.ctx, `INSERT INTO tenants (id, api_key, external_key, salt, secret, rounds) VALUES (?, ?, ?, ?, ?, ?)`,
				t.id, t.apiKey, t.externalKey, t.salt, t.secret, t.rounds)
			return c.storeFailure(err, billing(http.StatusConflict, "tenant.api.TenantApiException", codeTenantExists, "Tenant already exists for key %s", t.apiKey))
		})
	}); bad != nil {
		return bad.reply()
	}
	return created(c.r, "/1.0/kb/tenants/"+t.id)
}

// getTenant serves GET /1.0/kb/tenants/{id} and ?apiKey=. The secret is never shown.
func getTenant(c *call) reply {
	column, value := "id", c.id
	absent := billing(http.StatusNotFound, "tenant.api.TenantApiException", codeNoTenantID, "Tenant does not exist for id %s", value)
	if c.id == "" {
		column, value = "api_key", c.r.URL.Query().Get("apiKey")
		absent = billing(http.StatusNotFound, "tenant.api.TenantApiException", codeNoTenantKey, "Tenant does not exist for api key %s", value)
	}
	var t *tenant
	if bad := c.api(func() *failure {
		return c.dao("TenantSqlDao: getBy", costLookup, func() *failure {
			var err error
			t, err = c.s.store.tenantBy(c.ctx, column, value)
			return c.storeFailure(err, absent)
		})
	}); bad != nil {
		return bad.reply()
	}
	return found(struct {
		TenantID    string  `json:"tenantId"`
		ExternalKey *string `json:"externalKey"`
		APIKey      string  `json:"apiKey"`
		APISecret   *string `json:"apiSecret"`
		AuditLogs   []any   `json:"auditLogs"`
	}{t.id, t.externalKey, t.apiKey, nil, []any{}})
}
