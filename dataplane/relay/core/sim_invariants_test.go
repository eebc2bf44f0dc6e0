// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

// invariant names a promise that the simulator checks, for a failure to name and
// a mutation to break (mutations_test.go). Promises are those of RFC 6455, of the
// settings, and of what the documentation says of transparency, reconnects,
// keepalive, limits and ends.
type invariant string

// The promises.
const (
	// LegalFrames: what a peer is sent are frames that a legal peer may send: the
	// mask of its role, no reserved bits without an extension, known opcodes,
	// continuations in their place. So a violation never reaches the other side, and
	// what is injected lands between frames.
	LegalFrames invariant = "legal-frames"
	// NothingAfterClose: nothing follows a close frame.
	NothingAfterClose invariant = "nothing-after-close"
	// ClientGetsAll: the client gets the messages of each upstream unchanged, whole,
	// in order and once, without a gap.
	ClientGetsAll invariant = "client-gets-all"
	// UpstreamsGetWhole: the upstreams get the client's messages unchanged, whole, in
	// order and never twice, but for those that are said again on purpose.
	UpstreamsGetWhole invariant = "upstreams-get-whole"
	// NothingLost: no message of the client is missing beyond PossiblyLost.
	NothingLost invariant = "nothing-lost"
	// NoFalseAlarm: PossiblyLost counts nothing where the lost upstream had
	// acknowledged everything.
	NoFalseAlarm invariant = "no-false-alarm"
	// Replayed: each new upstream is first told the first messages, as many as asked
	// for.
	Replayed invariant = "replayed"
	// ControlToItsPeer: a ping reaches one upstream at most, a pong only who is
	// waiting for it.
	ControlToItsPeer invariant = "control-to-its-peer"
	// OwnPongsSwallowed: the pong to a ping of ours reaches nobody.
	OwnPongsSwallowed invariant = "own-pongs-swallowed"
	// PingsAnswered: whoever pings gets the pong to its latest ping.
	PingsAnswered invariant = "pings-answered"
	// HeldPingsAtOnce: a held client's ping is answered at once.
	HeldPingsAtOnce invariant = "held-pings-at-once"
	// OnlySilentPinged: pings of ours go to a leg that was silent for half of
	// LostTimeout, or at most a fifth of that less, while we read from it.
	OnlySilentPinged invariant = "only-silent-pinged"
	// PingsSpread: many who are opened, or fall silent, in the same moment are not
	// pinged in the same moment.
	PingsSpread invariant = "pings-spread"
	// FairLoss: a leg is given up for its silence only after all of LostTimeout
	// without a byte while we read from it, with half of it to answer a ping, and
	// without progress of what it acknowledges.
	FairLoss invariant = "fair-loss"
	// DeadFound: a leg without any sign of life is given up, blocked writer or not.
	DeadFound invariant = "dead-found"
	// CloseCodes: codes and reasons cross unchanged, and where the proxy ends a
	// connection each side is told the code that belongs to the cause.
	CloseCodes invariant = "close-codes"
	// TrueCause: the end names what happened, and does not change its mind.
	TrueCause invariant = "true-cause"
	// CloseGrace: a close handshake is given up when its grace is over.
	CloseGrace invariant = "close-grace"
	// CleanEnd: a socket ends with FIN only behind a close frame, else with a reset;
	// no side that closed cleanly is reset; Cut says when the client was.
	CleanEnd invariant = "clean-end"
	// ClientHeld: a client outlives every loss that can be healed.
	ClientHeld invariant = "client-held"
	// AbnormalOnly: only a loss without a close frame, or with one of five codes, is
	// healed, and only where autoReconnect is on and the connection can be moved.
	AbnormalOnly invariant = "abnormal-only"
	// Attempts: the first at once, others after the pause with its jitter, as many as
	// the setting says and not fewer, none after a final refusal.
	Attempts invariant = "attempts"
	// SendsWhole: a message that is sent to the client reaches it once, as it is,
	// in the order of their sending, and at the latest behind the message of the
	// upstream that was under way.
	SendsWhole invariant = "sends-whole"
	// SendsAnswered: of each of them one outcome is reported, and it is true.
	SendsAnswered invariant = "sends-answered"
	// BoundedMemory: what is kept of a held client and what waits is bounded.
	BoundedMemory invariant = "bounded-memory"
	// BudgetExact: the budget of all connections is charged with what is kept, at any
	// time, and with nothing when the connection is done.
	BudgetExact invariant = "budget-exact"
	// BudgetBounds: nothing is kept for which the budget has no room, but what was
	// read of a client that is held.
	BudgetBounds invariant = "budget-bounds"
	// Limits: size, rate and age.
	Limits invariant = "limits"
	// TimerSet: the driver's timer fires whenever a tick is due, and never for
	// nothing again and again.
	TimerSet invariant = "timer-set"
	// PhasesInOrder: phases go forward, but for a reconnect; what is done is done.
	PhasesInOrder invariant = "phases-in-order"
	// TrueCounters: messages, bytes, reconnects and undelivered messages are counted
	// right.
	TrueCounters invariant = "true-counters"
	// FreshMasks: frames of ours to the upstream have masking keys of their own.
	FreshMasks invariant = "fresh-masks"
	// Rests: when the peers have said everything and time passes, all of it has
	// arrived or the connection has ended.
	Rests invariant = "rests"
	// Commands: a disconnect is obeyed once, an abort at once.
	Commands invariant = "commands"
	// ChangesAtOnce: a change of the settings is in force at once.
	ChangesAtOnce invariant = "changes-at-once"
	// OneDriver: what the driver is asked to do is possible: one dial at a time, no
	// bytes for a socket that is not there, no farewell into a write; and every change
	// of phase has an effect.
	OneDriver invariant = "one-driver"
	// RestKept: what a driver does not wait for is kept, as it was, in memory of the
	// core's own.
	RestKept invariant = "rest-kept"
	// NoPanic: nothing panics.
	NoPanic invariant = "no-panic"
)

// invariants are all of them, for a proof that each can fail.
var invariants = []invariant{
	LegalFrames, NothingAfterClose, ClientGetsAll, UpstreamsGetWhole, NothingLost, NoFalseAlarm, Replayed,
	ControlToItsPeer, OwnPongsSwallowed, PingsAnswered, HeldPingsAtOnce, OnlySilentPinged, PingsSpread, FairLoss, DeadFound,
	CloseCodes, TrueCause, CloseGrace, CleanEnd, ClientHeld, AbnormalOnly, Attempts, SendsWhole, SendsAnswered,
	BoundedMemory, BudgetExact, BudgetBounds, Limits, TimerSet,
	PhasesInOrder, TrueCounters, FreshMasks, Rests, Commands, ChangesAtOnce, OneDriver, RestKept, NoPanic,
}
