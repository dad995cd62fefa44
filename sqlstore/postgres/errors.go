package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs (PostgreSQL, appendix A).
const (
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateUnique        = "23505"
	stateTooMany       = "53300"
	stateShutdown      = "57P01"
	stateCrash         = "57P02"
	stateNotYet        = "57P03"
	stateReadOnly      = "25006"
	stateLocked        = "55P03" // a lock was waited for longer than lock_timeout
)

// state returns the SQLSTATE of an error; empty if it has none.
func state(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isContention reports whether a statement was undone because of another one:
// doing it again may work.
func isContention(err error) bool {
	s := state(err)
	return s == stateSerialization || s == stateDeadlock || s == stateLocked
}

// errReadOnly is what a server that takes no writes would answer to one.
var errReadOnly = &pgconn.PgError{Severity: "ERROR", Code: stateReadOnly, Message: "the server takes no writes: it is a standby, or was demoted"}

// isReadOnly reports whether the connection leads to a server that takes no
// writes. It stays there when another server does; see [Store.do].
func isReadOnly(err error) bool { return state(err) == stateReadOnly }

// isTaken reports whether a value is there already that may be there once.
func isTaken(err error) bool { return state(err) == stateUnique }

// isBroken reports whether the error is that of a connection, or of where it
// leads, not of a statement.
func isBroken(err error) bool {
	switch state(err) {
	case stateShutdown, stateCrash, stateNotYet, stateTooMany, stateReadOnly:
		return true
	case "":
	default:
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return network || connecting || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || pgconn.SafeToRetry(err)
}

// isSafe reports whether the database never saw the statement, or says that it
// did not do it.
func isSafe(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return true
	}
	s := state(err)
	return s == stateNotYet || s == stateTooMany || s == stateReadOnly || pgconn.SafeToRetry(err)
}

// tidy leaves out of an error what may be a stored value: the server's detail
// and hint quote rows and arguments.
func tidy(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	return &pgconn.PgError{Severity: e.Severity, Code: e.Code, Message: messageOf(e), ConstraintName: e.ConstraintName, TableName: e.TableName}
}

// messageOf returns the server's message if its class has messages that name
// things, not values: connections, resources, the operator, the system.
func messageOf(e *pgconn.PgError) string {
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "25", "28", "3D", "40", "42", "53", "55", "57", "58":
		return e.Message
	}
	return "refused by the database"
}

// pause waits before a call is done again: longer each time, and each caller
// for another time. It reports whether there is time left.
func pause(ctx context.Context, try int) bool {
	most := min(time.Millisecond<<min(try, 8), 100*time.Millisecond)
	var r [4]byte
	rand.Read(r[:])
	timer := time.NewTimer(most * time.Duration(binary.LittleEndian.Uint32(r[:])) >> 32)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
