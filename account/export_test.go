package account

// OnDerive calls hook with the parameters of each Argon2id computation, before it.
func (h *Hasher) OnDerive(hook func(Params)) {
	inner := h.derive
	h.derive = func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
		hook(Params{Memory: memory, Time: time, Parallelism: threads})
		return inner(password, salt, time, memory, threads, keyLen)
	}
}

// FakeDerive replaces Argon2id by work.
func (h *Hasher) FakeDerive(work func()) {
	h.derive = func(_, _ []byte, _, _ uint32, _ uint8, keyLen uint32) []byte {
		work()
		return make([]byte, keyLen)
	}
}

// Inside is how many callers hash or wait.
func (h *Hasher) Inside() int { return len(h.inside) }

// WaitersPerSlot is waitersPerSlot.
const WaitersPerSlot = waitersPerSlot

// Reencode takes h apart and puts it together again.
func Reencode(h Hash) (Hash, error) {
	parsed, err := h.parse()
	if err != nil {
		return "", err
	}
	return parsed.hash(), nil
}

// Compose returns the hash of these parts without judging them.
func Compose(params Params, salt, tag []byte) Hash {
	return phc{params: params, salt: salt, tag: tag}.hash()
}

// NewUserID is newUserID.
var NewUserID = newUserID

// CommonPasswords are the embedded ones, and Fold is fold.
var (
	CommonPasswords = commonPasswords
	Fold            = fold
)
