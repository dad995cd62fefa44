package postgres

// Forms are the statements of the hot path that change sessions: by kind, that
// for many and that for one.
func Forms() map[string][2]string {
	return map[string][2]string{
		"turn": {turning.many, turning.one}, "note": {noting.many, noting.one},
		"end": {ending.many, ending.one}, "confirm": {confirming.many, confirming.one},
	}
}
