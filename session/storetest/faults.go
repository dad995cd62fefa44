package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// faultTests let every call that an operation of the engine makes fail in
// every way, and do again what an honest client does again.
//
// Rows: 252, A96.
var faultTests = func() (tests []tierTest) {
	for _, op := range operations {
		tests = append(tests, tierTest{name: op.name, run: func(b *bench) { b.withFaults(op) }})
	}
	return tests
}()

// scripts are the faults that the first calls meet; the next one is sound.
var scripts = [][]Fault{
	{Lost}, {Unanswered}, {Lost, Lost}, {Lost, Unanswered}, {Unanswered, Lost}, {Unanswered, Unanswered},
}

// An operation is something that an engine is asked for, and again for as long
// as the store is not available.
type operation struct {
	name    string
	calls   []Call // that it makes and that may fail
	prepare func(*scene) (do func() error)
	refused bool         // what it gets in the end is a refusal
	want    func(*scene) // checks what is stored in the end
}

// A scene is one session on a store that can fail.
type scene struct {
	*bench
	faulty *Faulty
	engine *session.Engine
	held   session.Issued // before the operation
	got    session.Issued // by it
	script string
}

// fail reports what went wrong under which faults.
func (s *scene) fail(format string, args ...any) {
	s.Helper()
	s.Errorf("%s: %s", s.script, fmt.Sprintf(format, args...))
}

func (b *bench) withFaults(op operation) {
	for _, call := range op.calls {
		for _, script := range scripts {
			if !slices.Contains(Writes, call) && slices.Contains(script, Unanswered) {
				continue // a read that is not answered is lost
			}
			s := &scene{bench: b, faulty: NewFaulty(b.store), script: strings.Trim(fmt.Sprint(call, script), "[]")}
			s.engine = NewEngine(b, s.faulty, nil)
			do := op.prepare(s)
			for i, fault := range script {
				s.faulty.Fail(call, i+1, fault)
			}
			s.play(op, do, len(script))
			if err := Check(b.ctx, b.store); err != nil {
				s.fail("the store is not sound: %v", err)
			}
			b.clock.Advance(time.Minute)
		}
	}
}

// play asks until it is answered.
func (s *scene) play(op operation, do func() error, faults int) {
	s.Helper()
	err := do()
	if !errors.Is(err, session.ErrUnavailable) {
		s.fail("first try: %v, want ErrUnavailable", err)
	}
	for range faults {
		if !errors.Is(err, session.ErrUnavailable) {
			break
		}
		s.clock.Advance(time.Second)
		err = do()
	}
	if refused := errors.Is(err, session.ErrRefused); refused != op.refused || (err != nil && !refused) {
		s.fail("in the end: %v; want a refusal: %t", err, op.refused)
		return
	}
	op.want(s)
}

// signIn makes the session of a scene, held in its first generation.
func (s *scene) signIn(edit func(*session.Login)) {
	s.Helper()
	l := session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Methods: []string{"pwd"}, Transport: session.Cookie}
	if edit != nil {
		edit(&l)
	}
	var err error
	if s.held, err = s.engine.Start(s.ctx, l); err != nil {
		s.Fatalf("Start: %v", err)
	}
}

// renewing is the operation of renewing with a token.
func (s *scene) renewing(with session.Issued, key string) func() error {
	return func() (err error) {
		r := renewal(with)
		r.IdempotencyKey, r.Thumbprint = key, with.Row.Binding.Thumbprint
		s.got, err = s.engine.Refresh(s.ctx, r)
		return err
	}
}

// turn renews an hour later and returns what that brought.
func (s *scene) turn(with session.Issued) session.Issued {
	s.Helper()
	s.clock.Advance(time.Hour)
	if err := s.renewing(with, "the key of its owner")(); err != nil {
		s.Fatalf("Refresh: %v", err)
	}
	return s.got
}

// settleUse confirms the newest generation.
func (s *scene) settleUse(of session.Issued) {
	s.Helper()
	if _, err := s.engine.Confirm(s.ctx, []session.Use{use(of.Row, s.clock.Advance(2*time.Minute), settle)}); err != nil {
		s.Fatalf("Confirm: %v", err)
	}
}

// wantHeld fails unless what was got is the newest of a live session.
func (s *scene) wantHeld(generation uint32) {
	s.Helper()
	row := s.load(s.got.Row.ID)
	want, err := codec.Seal(row.Key, row.ID, generation, row.Salt)
	if row.Generation != generation || err != nil || s.got.Refresh.Reveal() != want.Reveal() {
		s.fail("row in generation %d, ended %t; want the holder of generation %d", row.Generation, row.Ended(), generation)
	}
}

func (s *scene) wantEnded(id session.ID, reason session.Reason) {
	s.Helper()
	if row := s.load(id); !row.Ended() || row.EndReason != reason {
		s.fail("ended %t, reason %q; want it ended by %q", row.Ended(), row.EndReason, reason)
	}
	if !slices.Contains(s.feed(time.Minute), id) {
		s.fail("the feed leaves it out")
	}
}

// generationOf returns the token of an earlier or later generation.
func (s *scene) generationOf(of session.Issued, generation uint32) session.Issued {
	s.Helper()
	secret, err := codec.Seal(of.Row.Key, of.Row.ID, generation, of.Row.Salt)
	if err != nil {
		s.Fatalf("Seal: %v", err)
	}
	of.Refresh = secret
	return of
}

// thumbprint is that of some key.
const thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

var operations = []operation{
	{
		name: "SignInAgain", calls: []Call{Load, Create},
		prepare: func(s *scene) func() error {
			return func() (err error) {
				s.got, err = s.engine.Start(s.ctx, session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Cookie})
				return err
			}
		},
		want: func(s *scene) { s.wantHeld(1) },
	},
	bindAgain,
	{
		name: "RenewAgain", calls: []Call{Load, Replace},
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			s.clock.Advance(time.Hour)
			return s.renewing(s.held, "")
		},
		want: func(s *scene) {
			s.wantHeld(2)
			if bits := s.load(s.held.Row.ID).LateRepeats; bits != 0 {
				s.fail("an honest retry was counted: %08b", bits)
			}
		},
	},
	{
		name: "RepeatLateAgain", calls: []Call{Load, Replace},
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			s.turn(s.held)
			s.clock.Advance(time.Hour)
			return s.renewing(s.held, "another key")
		},
		want: func(s *scene) {
			s.wantHeld(2)
			if bits := s.load(s.held.Row.ID).LateRepeats; bits != 1 {
				s.fail("late repeats %08b, want one", bits)
			}
		},
	},
	{
		name: "CatchUpAgain", calls: []Call{Load, Replace},
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			s.clock.Advance(time.Hour)
			return s.renewing(s.generationOf(s.held, 2), "")
		},
		want: func(s *scene) { s.wantHeld(2) },
	},
	{
		name: "TellReuseAgain", calls: []Call{Load, Replace}, refused: true,
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			s.settleUse(s.turn(s.turn(s.held)))
			return s.renewing(s.held, "")
		},
		want: func(s *scene) { s.wantEnded(s.held.Row.ID, session.ReasonReuse) },
	},
	{
		name: "TellShadowAgain", calls: []Call{Load, Replace}, refused: true,
		prepare: func(s *scene) func() error {
			s.engine = NewEngine(s, s.faulty, func(o *session.Options) { o.Policy.LateRepeats = 1 })
			s.signIn(nil)
			s.turn(s.held)
			s.clock.Advance(time.Hour)
			return s.renewing(s.held, "another key")
		},
		want: func(s *scene) { s.wantEnded(s.held.Row.ID, session.ReasonShadow) },
	},
	{
		name: "ConfirmAgain", calls: []Call{Confirm},
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			confirmations := session.NewConfirmations(s.engine)
			u := use(s.held.Row, s.clock.Advance(2*time.Minute), settle)
			return func() error {
				confirmations.Note(u, s.clock.Now())
				return confirmations.Flush(s.ctx)
			}
		},
		want: func(s *scene) {
			if s.load(s.held.Row.ID).ConfirmedAt.IsZero() {
				s.fail("not confirmed")
			}
		},
	},
	{
		name: "SignOutAgain", calls: []Call{End},
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			return func() error {
				_, err := s.engine.End(s.ctx, session.Selection{Session: s.held.Row.ID}, session.ReasonSignOut, "", session.Origin{})
				return err
			}
		},
		want: func(s *scene) { s.wantEnded(s.held.Row.ID, session.ReasonSignOut) },
	},
	{
		name: "EndEveryoneAgain", calls: []Call{EndEveryone},
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			return func() error {
				_, err := s.engine.EndEveryone(s.ctx, session.ReasonEveryone, "", session.Origin{})
				return err
			}
		},
		want: func(s *scene) {
			told := s.endings(time.Minute)
			if row := s.load(s.held.Row.ID); !row.EndedAt.Equal(told.Epoch) || row.EndReason != session.ReasonEveryone {
				s.fail("ended at %v for %q, want by the epoch %v", row.EndedAt, row.EndReason, told.Epoch)
			}
		},
	},
	{
		name: "SweepAgain", calls: []Call{Sweep},
		prepare: func(s *scene) func() error {
			s.signIn(nil)
			s.clock.Advance(s.held.Row.AbsoluteEnd.Sub(s.clock.Now()))
			return func() error {
				_, err := s.engine.Sweep(s.ctx, 1000, time.Hour)
				return err
			}
		},
		want: func(s *scene) {
			if rows, _, err := s.store.Load(s.ctx, []session.ID{s.held.Row.ID}); err != nil || len(rows) != 0 {
				s.fail("the expired row is still there (%v)", err)
			}
		},
	},
	{
		name: "ListAgain", calls: []Call{List},
		prepare: func(s *scene) func() error {
			s.signIn(func(l *session.Login) { l.UserID = token.NewID().String() })
			return func() error {
				rows, _, err := s.engine.List(s.ctx, s.held.Row.UserID)
				if err == nil && len(rows) != 1 {
					s.fail("listed %d sessions, want 1", len(rows))
				}
				return err
			}
		},
		want: func(*scene) {},
	},
	{
		name: "RollBackOnce", calls: []Call{Load},
		prepare: func(s *scene) func() error {
			s.signIn(func(l *session.Login) { l.Binding = session.Binding{Kind: session.DBSC, Thumbprint: thumbprint} })
			s.settleUse(s.turn(s.turn(s.held)))
			return s.renewing(s.held, "")
		},
		want: func(s *scene) {
			s.wantHeld(3)
			if s.load(s.held.Row.ID).Binding.RolledBackAt.IsZero() {
				s.fail("the return is not recorded")
			}
		},
	},
}
