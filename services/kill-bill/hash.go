package killbill

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
)

// digest hashes a secret the way Shiro does: SHA-512 of salt and secret, then SHA-512 of that result until rounds
// hashes have been computed in all.
func digest(salt []byte, secret string, rounds int) []byte {
	first := make([]byte, 0, len(salt)+len(secret))
	first = append(append(first, salt...), secret...)
	sum := sha512.Sum512(first)
	for range rounds - 1 {
		sum = sha512.Sum512(sum[:])
	}
	return sum[:]
}

// sameDigest compares in constant time.
func sameDigest(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func newSalt() []byte {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	return salt
}
