package killbill

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// tag is Kill Bill's TagJson.
type tag struct {
	TagID             string `json:"tagId"`
	ObjectType        string `json:"objectType"`
	ObjectID          string `json:"objectId"`
	TagDefinitionID   string `json:"tagDefinitionId"`
	TagDefinitionName string `json:"tagDefinitionName"`
	AuditLogs         []any  `json:"auditLogs"`
}

// controlTag names one of the tag definitions Kill Bill has built in (org.killbill.billing.util.tag.ControlTagType).
// There are no others here: definitions are made by an endpoint the stand-in does not have.
func controlTag(id string) (name string, ok bool) {
	names := []string{
		"AUTO_PAY_OFF", "AUTO_INVOICING_OFF", "OVERDUE_ENFORCEMENT_OFF", "WRITTEN_OFF", "MANUAL_PAY", "TEST", "PARTNER",
		"AUTO_INVOICING_DRAFT", "AUTO_INVOICING_REUSE_DRAFT",
	}
	for i, n := range names {
		if id == fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1) {
			return n, true
		}
	}
	return "", false
}

// createTags serves POST /1.0/kb/accounts/{id}/tags: an array of definition ids. A tag that is already there is no error.
func createTags(c *call) reply {
	definitions, bad := uuidList(c.body)
	if bad == nil {
		bad = c.needCreatedBy()
	}
	if bad != nil {
		return bad.reply()
	}
	for _, d := range definitions {
		if _, ok := controlTag(d); !ok {
			return billing(http.StatusNotFound, "util.api.TagDefinitionApiException", codeNoTag, "The tag definition id does not exist %s", d).reply()
		}
	}
	if bad := c.api(func() *failure {
		return c.dao("TagSqlDao: create", costLookup, func() *failure {
			if _, err := c.s.store.accountByID(c.ctx, c.tenant.id, c.id); err != nil {
				return c.storeFailure(err, noAccountID(c.id))
			}
			return c.storeFailure(c.s.store.insertTags(c.ctx, c.id, definitions, c.r.Header.Get(headerCreatedBy)), nil)
		})
	}); bad != nil {
		return bad.reply()
	}
	return created(c.r, "/1.0/kb/accounts/"+c.id+"/tags")
}

// getTags serves GET /1.0/kb/accounts/{id}/tags, where a creation's Location points.
func getTags(c *call) reply {
	var tags []tag
	if bad := c.api(func() *failure {
		return c.dao("TagSqlDao: getByAccountRecordId", costLookup, func() *failure {
			if _, err := c.s.store.accountByID(c.ctx, c.tenant.id, c.id); err != nil {
				return c.storeFailure(err, noAccountID(c.id))
			}
			var err error
			tags, err = c.s.store.tags(c.ctx, c.id)
			return c.storeFailure(err, nil)
		})
	}); bad != nil {
		return bad.reply()
	}
	return found(tags)
}

// insertTags adds all of them or none.
func (s *store) insertTags(ctx context.Context, account string, definitions []string, by string) error {
	tx, err := s.db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	now := time.Now().UnixNano()
	for _, d := range slices.Sorted(slices.Values(definitions)) { // in one order: two calls cannot each wait for the other's row
		if _, err := tx.ExecContext(ctx, `INSERT INTO tags (id, account_id, definition_id, created_by, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (account_id, definition_id) DO NOTHING`, newUUID(), account, d, by, now); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// tags reads an account's tags; there are at most as many as control tags.
func (s *store) tags(ctx context.Context, account string) ([]tag, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, definition_id FROM tags WHERE account_id = ? ORDER BY created_at, definition_id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []tag{}
	for rows.Next() {
		t := tag{ObjectType: "ACCOUNT", ObjectID: account, AuditLogs: []any{}}
		if err := rows.Scan(&t.TagID, &t.TagDefinitionID); err != nil {
			return nil, err
		}
		t.TagDefinitionName, _ = controlTag(t.TagDefinitionID)
		all = append(all, t)
	}
	return all, rows.Err()
}
