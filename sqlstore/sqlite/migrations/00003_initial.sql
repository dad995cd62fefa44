-- +goose Up

-- Until when the password is one that an operator made, good only for choosing
-- another. NULL: the user has chosen it.
ALTER TABLE users ADD COLUMN initial_until INTEGER;
