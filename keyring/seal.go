package keyring

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/pawlauth/pawl/token"
)

// ErrWrongMaster says that stored keys were sealed under a master key that was
// not given. Nothing was changed.
var ErrWrongMaster = errors.New("the data was made under another master key; start with the master key file that belongs to it")

// ErrDamaged says that a stored key does not open, or is not what it says.
var ErrDamaged = errors.New("a stored signing key is damaged; restore the database from a backup, or withdraw the key")

// seal encrypts a private key for the store: a random nonce of 96 bits
// (NIST SP 800-38D §8.2.2; few keys are ever sealed), then the ciphertext. What the key is and
// whose it is goes in as associated data, so that one row's ciphertext does
// not open in another row.
func (m *Master) seal(r *Record, key crypto.Signer) error {
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("keyring: encode private key: %w", err)
	}
	r.Master = m.Current()
	aead := m.keys[0].aead()
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	r.Sealed = aead.Seal(nonce, nonce, plain, r.context())
	return nil
}

// open decrypts the private key of a record.
func (m *Master) open(r *Record) (crypto.Signer, error) {
	k := m.find(r.Master)
	if k == nil {
		return nil, ErrWrongMaster
	}
	aead := k.aead()
	if len(r.Sealed) < aead.NonceSize() {
		return nil, ErrDamaged
	}
	nonce, sealed := r.Sealed[:aead.NonceSize()], r.Sealed[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, sealed, r.context())
	if err != nil {
		return nil, ErrDamaged
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, ErrDamaged // the cause could quote key material
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrDamaged
	}
	return signer, nil
}

func (k *masterKey) aead() cipher.AEAD {
	key := k.derive(labelSeal)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("keyring: AES-256 failed: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("keyring: GCM failed: " + err.Error())
	}
	return aead
}

// context is the associated data: every part with its length before it.
func (r *Record) context() []byte {
	var out []byte
	for _, part := range [][]byte{[]byte(r.ID), []byte(r.Algorithm), []byte(r.Header), r.Public, r.Master[:]} {
		out = append(out, byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

var _ token.Signer = (*Signer)(nil)

// A Signer signs access tokens with one key. It is safe for concurrent use
// and prints as "[redacted]".
type Signer struct {
	header string
	// sign holds the private key: see masterKey.
	sign func(message []byte) ([]byte, error)
}

// Header implements [token.Signer].
func (s *Signer) Header() string { return s.header }

// Sign implements [token.Signer].
func (s *Signer) Sign(signingInput []byte) ([]byte, error) {
	if s.sign == nil {
		return nil, ErrDamaged
	}
	return s.sign(signingInput)
}

// Format implements [fmt.Formatter] by redacting.
func (Signer) Format(f fmt.State, _ rune) { f.Write([]byte("[redacted]")) }
