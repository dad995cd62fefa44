package postgres

import (
	"context"

	"github.com/pawlauth/pawl/session"
)

const sqlBind = `UPDATE pawl.sessions SET binding = $3, thumbprint = $4
	WHERE id = $1 AND generation = $2 AND binding = '' AND ` + sqlLive

// Bind implements [session.Ratchet].
func (s *Store) Bind(ctx context.Context, id session.ID, generation uint32, to session.Binding) error {
	return s.one(ctx, session.ErrConflict, "bind session", sqlBind, [16]byte(id), int64(generation), string(to.Kind), to.Thumbprint)
}
