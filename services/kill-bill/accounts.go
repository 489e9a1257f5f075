package killbill

import (
	"errors"
	"time"
)

// createAccount serves POST /1.0/kb/accounts.
func createAccount(c *call) reply {
	a, bad := readAccount(c.body)
	if bad == nil {
		bad = c.needCreatedBy()
	}
	if bad != nil {
		return bad.reply()
	}
	a.complete(time.Now())
	if bad := c.api(func() *failure {
		if bad := a.check(); bad != nil {
			return bad
		}
		return c.dao("AccountSqlDao: create", costCreate, func() *failure {
			if a.ParentAccountID != nil {
				if _, err := c.s.store.accountByID(c.ctx, c.tenant.id, *a.ParentAccountID); err != nil {
					return c.storeFailure(err, noAccountID(*a.ParentAccountID))
				}
			}
			return c.storeFailure(c.s.store.insertAccount(c.ctx, c.tenant.id, a, c.r.Header.Get(headerCreatedBy)), accountExists(a.ExternalKey))
		})
	}); bad != nil {
		return bad.reply()
	}
	return created(c.r, "/1.0/kb/accounts/"+a.AccountID)
}

// getAccountByKey serves GET /1.0/kb/accounts?externalKey=.
func getAccountByKey(c *call) reply {
	query := c.r.URL.Query()
	key := query.Get("externalKey")
	if !query.Has("externalKey") {
		key = "null" // what Kill Bill's message says of a key that is not given
	}
	return c.oneAccount("AccountSqlDao: getAccountByKey", noAccountKey(key), func() (*account, error) {
		if !query.Has("externalKey") {
			return nil, errAbsent
		}
		return c.s.store.accountByKey(c.ctx, c.tenant.id, key)
	})
}

// getAccount serves GET /1.0/kb/accounts/{id}.
func getAccount(c *call) reply {
	return c.oneAccount("AccountSqlDao: getById", noAccountID(c.id), func() (*account, error) {
		return c.s.store.accountByID(c.ctx, c.tenant.id, c.id)
	})
}

// oneAccount answers the account that read finds, with the balances its query asks for.
func (c *call) oneAccount(dao string, absent *failure, read func() (*account, error)) reply {
	var a *account
	if bad := c.api(func() *failure {
		return c.dao(dao, costLookup, func() *failure {
			var err error
			a, err = read()
			return c.storeFailure(err, absent)
		})
	}); bad != nil {
		return bad.reply()
	}
	query, zero := c.r.URL.Query(), 0
	both := query.Get("accountWithBalanceAndCBA") == "true"
	if both || query.Get("accountWithBalance") == "true" {
		a.AccountBalance = &zero
	}
	if both {
		a.AccountCBA = &zero
	}
	return found(a)
}

// storeFailure turns a store's error into Kill Bill's refusal: refused for the errors the caller expects (taken, absent),
// 500 for anything else.
func (c *call) storeFailure(err error, refused *failure) *failure {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTaken), errors.Is(err, errAbsent):
		return refused
	}
	c.s.log.Error("store", "route", c.route.pattern, "error", err)
	return caused("java.sql.SQLException", err.Error())
}
