package userservice

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/captest/captest/services/kit"
)

// tokens is the table of access tokens.
type tokens struct{ db *kit.Store }

// insert keeps a token as its hash, and drops what has expired of the same customer.
func (t tokens) insert(ctx context.Context, token, customer string, expires time.Time) error {
	defer kit.Await(ctx)()
	if _, err := t.db.ExecContext(ctx, `DELETE FROM tokens WHERE customer_id = ? AND expires_at <= ?`, customer, time.Now().UnixMilli()); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if _, err := t.db.ExecContext(ctx, `INSERT INTO tokens (hash, customer_id, expires_at) VALUES (?, ?, ?)`,
		tokenHash(token), customer, expires.UnixMilli()); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return nil
}

// tokenHash needs no salt and no cost: a token is 256 random bits already, nothing can be guessed.
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// randomText is 32 random bytes in hexadecimal.
func randomText() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// newID is a random UUID (version 4, RFC 9562).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
