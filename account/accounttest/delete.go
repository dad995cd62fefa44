package accounttest

import (
	"errors"
	"sync"
	"testing"

	"github.com/pawlauth/pawl/account"
)

// Nothing of a deleted user is left, the tallies of the account included, and nothing of anybody else is touched.
func testDelete(t *testing.T, store account.Store) {
	user, bystander := mustCreate(t, store, sample(1)), mustCreate(t, store, sample(2))
	mustTally(t, store, mustTally(t, store, attempt(1, 1).Take()).Succeed()) // account 1 knows network 1
	letIn(t, store, func(n int) account.Attempt { return attempt(1, byte(100+n)) })
	letIn(t, store, func(int) account.Attempt { return attempt(2, 2) })

	requireError(t, "DeleteUser of nobody", store.DeleteUser(t.Context(), sample(9).ID, account.Tag{1}), account.ErrNotFound)
	if mustTally(t, store, attempt(1, 50).Take()).LetIn() {
		t.Error("tallies went though there was no such user")
	}
	if !mustTally(t, store, attempt(1, 1).Take()).LetIn() {
		t.Error("a known network went though there was no such user")
	}
	if err := store.DeleteUser(t.Context(), user.ID, account.Tag{1}); err != nil {
		t.Fatalf("DeleteUser: %v", err)
	}
	_, err := store.UserByID(t.Context(), user.ID)
	requireError(t, "UserByID", err, account.ErrNotFound)
	_, err = store.UserByName(t.Context(), user.Name)
	requireError(t, "UserByName", err, account.ErrNotFound)
	requireError(t, "SetPassword", store.SetPassword(t.Context(), user.ID, user.Hash, 0), account.ErrNotFound)
	requireError(t, "SetDisabled", store.SetDisabled(t.Context(), user.ID, false), account.ErrNotFound)
	requireError(t, "SignedIn", store.SignedIn(t.Context(), user, ""), account.ErrNotFound)
	requireError(t, "ChangePassword", store.ChangePassword(t.Context(), user, user.Hash), account.ErrNotFound)
	requireError(t, "DeleteUser again", store.DeleteUser(t.Context(), user.ID, account.Tag{1}), account.ErrNotFound)
	if users, err := store.Users(t.Context()); err != nil || len(users) != 1 {
		t.Errorf("Users: got %d and %v, want the other one", len(users), err)
	}
	requireSame(t, mustByID(t, store, bystander.ID), bystander)
	if mustTally(t, store, attempt(2, 2).Take()).LetIn() {
		t.Error("another account's failures were forgotten")
	}
	// All anew: were network 1 still known, it would not count here.
	if n := letIn(t, store, func(n int) account.Attempt { return attempt(1, byte(1+n)) }); n != 20 {
		t.Errorf("%d strangers let in, want 20", n)
	}
	again := sample(3)
	again.Name = user.Name
	mustCreate(t, store, again)
}

// Whatever else is done to a user at the same moment, the user is gone afterwards, and one of several deletions did it.
func testDeleteInUse(t *testing.T, store account.Store) {
	user := mustCreate(t, store, sample(1))
	const callers = 8
	outcomes := make([]error, callers)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() { outcomes[n] = store.DeleteUser(t.Context(), user.ID, account.Tag{1}) })
		wg.Go(func() {
			for _, err := range []error{
				store.SetPassword(t.Context(), user.ID, sampleHash(n), 0), store.SetDisabled(t.Context(), user.ID, n%2 == 0),
				store.SignedIn(t.Context(), user, ""),
			} {
				if err != nil && !errors.Is(err, account.ErrNotFound) {
					t.Errorf("while it is deleted: %v", err)
				}
			}
		})
	}
	wg.Wait()
	deleted := 0
	for _, err := range outcomes {
		if err == nil {
			deleted++
		} else if !errors.Is(err, account.ErrNotFound) {
			t.Errorf("DeleteUser: %v", err)
		}
	}
	if deleted != 1 {
		t.Errorf("%d calls deleted the user, want one", deleted)
	}
	_, err := store.UserByID(t.Context(), user.ID)
	requireError(t, "UserByID", err, account.ErrNotFound)
}
