package killbill

import (
	"context"
	"net/http"
	"time"
)

// blockingState is Kill Bill's BlockingStateJson.
type blockingState struct {
	BlockedID          string `json:"blockedId"`
	StateName          string `json:"stateName"`
	Service            string `json:"service"`
	IsBlockChange      bool   `json:"isBlockChange"`
	IsBlockEntitlement bool   `json:"isBlockEntitlement"`
	IsBlockBilling     bool   `json:"isBlockBilling"`
	EffectiveDate      string `json:"effectiveDate"`
	Type               string `json:"type"`
	AuditLogs          []any  `json:"auditLogs"`
}

// What Kill Bill's AccountResource.closeAccount adds to an account: it blocks changes only.
const (
	closedState   = "CLOSE_ACCOUNT"
	closedService = "account-service"
	closedType    = "ACCOUNT"
)

// closeAccount serves DELETE /1.0/kb/accounts/{id}. A closed account stays, is found by id and by key, and its key stays
// taken; all that changes is its blocking state. The four query parameters (cancelAllSubscriptions, writeOffUnpaidInvoices,
// itemAdjustUnpaidInvoices, removeFutureNotifications) act on what the stand-in does not have, and are ignored.
//
// Taken from Kill Bill's source: the path, the 204, the state's name, service, type and flags. Not confirmed: the 404 for
// an id it does not know, and that closing again adds no second state.
func closeAccount(c *call) reply {
	if bad := c.needCreatedBy(); bad != nil {
		return bad.reply()
	}
	if bad := c.api(func() *failure {
		return c.dao("BlockingStateSqlDao: create", costLookup, func() *failure {
			if _, err := c.s.store.accountByID(c.ctx, c.tenant.id, c.id); err != nil {
				return c.storeFailure(err, noAccountID(c.id))
			}
			return c.storeFailure(c.s.store.closeAccount(c.ctx, c.id, *instantText(time.Now()), c.r.Header.Get(headerCreatedBy)), nil)
		})
	}); bad != nil {
		return bad.reply()
	}
	return reply{status: http.StatusNoContent}
}

// getBlockingStates serves GET /1.0/kb/accounts/{id}/block, where a closing shows. The filters of its query are ignored:
// there is one kind of state.
func getBlockingStates(c *call) reply {
	var states []blockingState
	if bad := c.api(func() *failure {
		return c.dao("BlockingStateSqlDao: getByAccountRecordId", costLookup, func() *failure {
			if _, err := c.s.store.accountByID(c.ctx, c.tenant.id, c.id); err != nil {
				return c.storeFailure(err, noAccountID(c.id))
			}
			var err error
			states, err = c.s.store.blockingStates(c.ctx, c.id)
			return c.storeFailure(err, nil)
		})
	}); bad != nil {
		return bad.reply()
	}
	return found(states)
}

// closeAccount blocks an account; one that is closed already keeps its date.
func (s *store) closeAccount(ctx context.Context, id, when, by string) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO blocking_states (blocked_id, state, service, type, effective_date, created_by)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (blocked_id, service) DO NOTHING`, id, closedState, closedService, closedType, when, by)
	return err
}

// blockingStates reads an account's states; there is at most one.
func (s *store) blockingStates(ctx context.Context, id string) (all []blockingState, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT state, service, type, effective_date FROM blocking_states WHERE blocked_id = ?`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all = []blockingState{}
	for rows.Next() {
		b := blockingState{BlockedID: id, IsBlockChange: true, AuditLogs: []any{}}
		if err := rows.Scan(&b.StateName, &b.Service, &b.Type, &b.EffectiveDate); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, rows.Err()
}
