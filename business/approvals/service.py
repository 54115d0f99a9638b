"""From a proposal to its effect: shown, decided by a person, done exactly once, read back.

    pending ─yes→ approved ─claim→ executing ─→ executed | failed | unknown ─looked at→ executed | failed | approved
       └──no→ rejected   └─time→ expired

Each arrow is one transaction with one guarded UPDATE and one audit row. `executing` is committed before anything
leaves, so a process that dies afterwards leaves a row that says "it may have been sent". Whoever works on a proposal
holds its lock, a session lock of PostgreSQL that falls when the process dies: a process that is only slow or stopped
keeps it, so nobody sends a second time behind its back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from business.approvals import store
from business.approvals.model import (
    EDITED_UNDO,
    UNDO,
    Change,
    ChangeHandler,
    KnowsWayBack,
    NamesOutcome,
    NeedsReadiness,
    Proposal,
    ProposalState,
    ReadBack,
)
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from core.failpoints import reach
from core.ids import new_id
from core.permissions import Permissions, Scope
from core.tenancy import Identity, Role

log = structlog.get_logger(__name__)

PolicyCheck = Callable[[str, str, str, Change], Awaitable[None]]
"""(tenant id, tool, effect, change): raises Refused when the policy does not let the change be made."""

Proposals = list[Proposal]
Warnings = list[tuple[str, dict[str, Any]]]
Sentences = list[str]
Evidence = list[Any]

LEASE = timedelta(seconds=30)
"""How long after a claim an unseen write may still be on its way; only then "not there" is taken for "not done"."""
STALE = timedelta(minutes=15)
"""An approval that is older (all processes were dead) is not acted on any more, nor is its write sent again."""
ATTEMPTS = 5
"""Deaths or lost answers in the middle of one write; then it is told as not done. Each new one follows a look that
found nothing, so many do no harm; one that itself kills the process must end."""

_STEP = "system"


class Approvals:
    def __init__(
        self,
        db: Database,
        permissions: Permissions,
        clock: Clock,
        handlers: Mapping[str, ChangeHandler],
        *,
        check: PolicyCheck,
        hours: float = 24,
        lease: timedelta = LEASE,
    ) -> None:
        """`handlers` by kind of change; `hours`: how long a proposal waits for its yes."""
        self._db = db
        self._permissions = permissions
        self._clock = clock
        self._handlers = handlers
        self._check = check
        self._hours = hours
        self._lease = lease
        self._running: set[asyncio.Task[Proposal]] = set()

    # --- proposing ----------------------------------------------------------------------------

    async def create(
        self,
        identity: Identity,
        change: Change,
        *,
        tool: str,
        effect: str,
        door: str,
        conversation_id: str | None = None,
        turn_id: str | None = None,
        evidence: Evidence | None = None,
        warnings: Warnings | None = None,
        undo_of: str | None = None,
    ) -> Proposal:
        """Keep `change` as a pending proposal.

        The same change that already waits in this conversation is given back as it is; another one of the same kind
        for the same object is replaced. Refused when the policy does not let it be made at all.
        """
        handler = self._handler(change)
        effect = _stronger(effect, handler.effect(change))
        await self._check(identity.tenant_id, tool, effect, change)
        preview = await handler.preview(identity.tenant_id, change)
        preview = replace(preview, warnings=[*preview.warnings, *(warnings or [])])
        now = self._clock.now()
        proposal = Proposal(
            id=new_id("prop"),
            tenant_id=identity.tenant_id,
            conversation_id=conversation_id,
            turn_id=turn_id,
            tool=tool,
            effect=effect,
            change=change,
            change_hash=change.bound_hash(identity.tenant_id, tool, effect),
            preview=preview,
            evidence=evidence or [],
            state=ProposalState.PENDING,
            door=door,
            proposed_by=identity.user_id,
            created_at=now,
            expires_at=now + timedelta(hours=self._hours),
            undo_of=undo_of,
        )
        async with self._db.tenant(identity.tenant_id) as conn:
            for other in await store.pending_of_target(conn, conversation_id, identity.user_id, change):
                if other.change_hash == proposal.change_hash and other.door == door and other.expires_at > now:
                    return other
                await store.decide(
                    conn,
                    other,
                    ProposalState.REJECTED,
                    by=identity.user_id,
                    door=door,
                    at=now,
                    outcome=store.write_outcome("proposal_replaced", {}),
                )
                await audit(conn, identity, "proposal.replaced", other.id, {"by": proposal.id})
            await store.insert(conn, proposal)
            await audit(conn, identity, "proposal.created", proposal.id, _facts(proposal))
        return proposal

    async def edit(self, identity: Identity, proposal_id: str, edits: dict[str, str], door: str) -> Proposal:
        """A new pending proposal with the values that a person typed over; the old one is void.

        ArgumentsWrong when a value cannot be, Refused when the proposal is decided or the policy forbids the change.
        """
        old = await self.get(identity, proposal_id)
        self._must_be_pending(old)
        await self._must_take_part(identity, old)
        change = self._handler(old.change).edit(old.change, edits)
        if change == old.change:
            return old
        return await self.create(
            identity,
            change,
            # What is typed over is no way back any more: an undo is free of caps, its edit is not.
            tool=EDITED_UNDO if old.tool == UNDO else old.tool,
            effect=old.effect,
            door=door,
            conversation_id=old.conversation_id,
            turn_id=old.turn_id,
            evidence=old.evidence,
        )

    async def undo(self, identity: Identity, proposal_id: str, door: str) -> Proposal:
        """A new pending proposal that would put back what an executed one changed. It needs its own yes."""
        done = await self.get(identity, proposal_id)
        if done.state is not ProposalState.EXECUTED:
            raise Refused("undo_not_executed", "only an executed proposal can be undone", state=done.state.value)
        handler = self._handler(done.change)
        inverse = handler.inverse(done.change)
        if inverse is None:
            raise Refused("undo_impossible", "this change has no way back")
        return await self.create(
            identity,
            inverse,
            tool=UNDO,
            effect=handler.effect(inverse),
            door=door,
            conversation_id=done.conversation_id,
            evidence=[],
            undo_of=done.id,
        )

    # --- looking ------------------------------------------------------------------------------

    async def get(self, identity: Identity, proposal_id: str) -> Proposal:
        """Refused("proposal_unknown") also for another tenant's, or another user's where the role sees only its own."""
        async with self._db.tenant(identity.tenant_id) as conn:
            proposal = await store.find(conn, proposal_id)
        if proposal is None or not self._sees(identity, proposal):
            raise Refused("proposal_unknown", f"there is no proposal {proposal_id[:80]!r}")
        return proposal

    async def list(
        self,
        identity: Identity,
        *,
        state: ProposalState | None = None,
        conversation_id: str | None = None,
        limit: int = 100,
        conn: Connection | None = None,
    ) -> Proposals:
        """Proposals that this user may see, newest first. Pending ones past their time are told as expired.

        `conn`: the caller's transaction, when it reads more.
        """
        own = None if self._sees_all(identity) else identity.user_id
        async with self._db.tenant(identity.tenant_id, conn) as conn:
            found = await store.find_all(
                conn,
                states=None if state is None else [state],
                conversation_id=conversation_id,
                proposed_by=own,
                limit=limit,
            )
        now = self._clock.now()
        seen = [
            replace(one, state=ProposalState.EXPIRED)
            if one.state is ProposalState.PENDING and one.expires_at <= now
            else one
            for one in found
        ]
        return [one for one in seen if state is None or one.state is state]

    def may_approve(self, identity: Identity, proposal: Proposal, door: str) -> bool:
        """Whether a door should offer the button at all. `approve` asks the database again."""
        area = self._handler(proposal.change).area
        return self._permissions.may_approve(identity.role, proposal.effect, area) and not (
            proposal.door == "mcp" and door == "mcp"
        )

    async def undoable(self, proposal: Proposal) -> bool:
        """Whether a door should offer to undo it: it was done, and there is a way back now. `undo` looks again."""
        if proposal.state is not ProposalState.EXECUTED:
            return False
        handler = self._handler(proposal.change)
        if handler.inverse(proposal.change) is None:
            return False
        if isinstance(handler, KnowsWayBack):
            return await handler.undoable(proposal.tenant_id, proposal.change)
        return True

    # --- deciding -----------------------------------------------------------------------------

    async def approve(self, identity: Identity, proposal_id: str, door: str) -> Proposal:
        """A person's yes: decide, then do it once and read it back. The proposal as it then stands.

        Refused, with nothing done: proposal_unknown, proposal_decided, proposal_expired, proposal_altered,
        proposal_same_door, approval_not_allowed, a code of the policy, or why the handler is not ready: then it stays
        pending. What fails later is told by the state: FAILED (it did not happen), UNKNOWN (it may have; it is being
        looked at).
        """
        proposal = await self.get(identity, proposal_id)
        self._must_be_pending(proposal)
        await self._check(identity.tenant_id, proposal.tool, proposal.effect, proposal.change)
        refusal: Refused | None = None
        async with self._db.tenant(identity.tenant_id) as conn:
            now = self._clock.now()
            current = await store.find(conn, proposal_id, lock=True)
            assert current is not None  # proposals are never deleted
            role = await store.approver_role(conn, identity.user_id)
            try:
                self._must_be_approvable(current, role, door)
                handler = self._handler(current.change)
                if isinstance(handler, NeedsReadiness):
                    await handler.ready(identity.tenant_id, current.change)
            except Refused as refused:
                refusal = refused
                await audit(
                    conn, identity, "proposal.approval_refused", proposal_id, {"code": refused.code, "door": door}
                )
                if refused.code == "proposal_expired":
                    await store.decide(conn, current, ProposalState.EXPIRED, by=None, door=None, at=now)
            else:
                decided = await store.decide(
                    conn, current, ProposalState.APPROVED, by=identity.user_id, door=door, at=now
                )
                if not decided:  # the row is locked, so this says that a guard and a check above differ
                    raise Refused("proposal_decided", "the proposal is decided already", state=current.state.value)
                await audit(
                    conn, identity, "proposal.approved", proposal_id, {"hash": current.change_hash, "door": door}
                )
        if refusal is not None:
            raise refusal
        reach("approve.decided")
        return await self.execute(identity.tenant_id, proposal_id)

    async def reject(self, identity: Identity, proposal_id: str, door: str) -> Proposal:
        """A person's no. Its proposer may say it too, and anybody who might have approved it."""
        proposal = await self.get(identity, proposal_id)
        await self._must_take_part(identity, proposal)
        async with self._db.tenant(identity.tenant_id) as conn:
            now = self._clock.now()
            if not await store.decide(conn, proposal, ProposalState.REJECTED, by=identity.user_id, door=door, at=now):
                current = await store.find(conn, proposal_id)
                state = current.state.value if current else ""
                raise Refused("proposal_decided", "the proposal is decided already", state=state)
            await audit(conn, identity, "proposal.rejected", proposal_id, {"door": door})
        return await self.get(identity, proposal_id)

    # --- doing --------------------------------------------------------------------------------

    async def execute(self, tenant_id: str, proposal_id: str) -> Proposal:
        """Do an approved proposal, or wait for the process that is doing it. Safe to be called twice or from a job.

        It goes on when the caller is cancelled: a stop button must not tear a write in two.
        """
        task = asyncio.create_task(self._execute(tenant_id, proposal_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is being done. Called once, when the process leaves."""
        if self._running:
            await asyncio.wait(self._running)

    async def _execute(self, tenant_id: str, proposal_id: str) -> Proposal:
        async with self._db.lock(_lock_key(proposal_id), timeout=90, brief=True):
            proposal = await self._read(tenant_id, proposal_id)
            if proposal.state is ProposalState.APPROVED:
                await self._run(proposal)
        return await self._read(tenant_id, proposal_id)

    async def _run(self, proposal: Proposal) -> None:
        """Recheck, claim, apply, read back. The caller holds the proposal's lock; the state is approved."""
        handler = self._handler(proposal.change)
        tenant_id, change = proposal.tenant_id, proposal.change
        try:
            await handler.recheck(tenant_id, change)
        except MutiraoError as error:
            await self._finish(proposal, ProposalState.FAILED, error, came_from=["approved"])
            return
        except Exception as error:
            await self._finish(proposal, ProposalState.FAILED, _bug(error, proposal), came_from=["approved"])
            return

        async with self._db.tenant(tenant_id) as conn:
            attempt = await store.claim(conn, proposal.id, self._clock.now())
            if attempt is None:
                return
            await audit(
                conn, _STEP, "proposal.executing", proposal.id, {"attempt": attempt, "hash": proposal.change_hash}
            )
        proposal = replace(proposal, attempts=attempt)

        lost: MutiraoError | None = None
        try:
            await handler.apply(tenant_id, change)
        except OutcomeUnknown as error:
            lost = error
        except MutiraoError as error:
            await self._finish(proposal, ProposalState.FAILED, error)
            return
        except asyncio.CancelledError:
            await asyncio.shield(self._finish(proposal, ProposalState.UNKNOWN, OutcomeUnknown("outcome_unknown")))
            raise
        except Exception as error:  # a bug of ours: it may have been sent
            lost = _bug(error, proposal)

        reach("approve.applied")
        seen = await self._look(proposal)
        if seen is ReadBack.APPLIED:
            await self._finish(proposal, ProposalState.EXECUTED, MutiraoError(_outcome(handler)))
        elif lost is None and seen is ReadBack.OTHER:
            await self._finish(proposal, ProposalState.EXECUTED, MutiraoError("proposal_executed_then_changed"))
        else:
            # Sent and not seen. The write may still be on its way, so "not there yet" proves nothing now.
            await self._finish(proposal, ProposalState.UNKNOWN, lost or OutcomeUnknown("outcome_unknown"))

    # --- looking after what was left ----------------------------------------------------------

    async def expire(self, tenant_id: str) -> int:
        """Mark the pending proposals whose time is over. How many."""
        async with self._db.tenant(tenant_id) as conn:
            expired = await store.expire(conn, self._clock.now())
            for proposal_id in expired:
                await audit(conn, _STEP, "proposal.expired", proposal_id, {})
        return len(expired)

    async def withdraw(self, tenant_id: str, targets: Sequence[str]) -> int:
        """Delete what was only proposed about objects that nobody wants to touch any more. How many."""
        async with self._db.tenant(tenant_id) as conn:
            gone = await store.withdraw(conn, targets)
            for proposal_id in gone:
                await audit(conn, _STEP, "proposal.withdrawn", proposal_id, {})
        return len(gone)

    async def forget(self, tenant_id: str, targets: Sequence[str]) -> int:
        """Delete what was only proposed about objects that are erased, for its text and numbers are theirs, and what
        was shown of what was done to them. How many were deleted."""
        async with self._db.tenant(tenant_id) as conn:
            gone = await store.forget(conn, targets)
            for proposal_id in gone:
                await audit(conn, _STEP, "proposal.forgotten", proposal_id, {})
        return len(gone)

    async def reconcile(self, tenant_id: str) -> int:
        """Settle what a dead process or a lost answer left: approved, executing or unknown. How many were settled.

        The world is asked first. Done: executed. Neither as before nor as wanted: failed, and said so. Certainly not
        done: done once more if the approval still holds and is not stale, else failed. A proposal that a living process
        works on is left alone.
        """
        async with self._db.tenant(tenant_id) as conn:
            open_ones = await store.find_all(
                conn, states=[ProposalState.APPROVED, ProposalState.EXECUTING, ProposalState.UNKNOWN], limit=500
            )
        settled = 0
        for proposal in open_ones:
            try:
                async with self._db.lock(_lock_key(proposal.id), timeout=1.0, brief=True):
                    await self._settle(await self._read(tenant_id, proposal.id))
            except Unavailable:
                continue  # somebody is on it
            except Exception:
                log.exception("reconcile_failed", proposal=proposal.id)  # the others must still be looked at
                continue
            after = await self._read(tenant_id, proposal.id)
            settled += after.state in (ProposalState.EXECUTED, ProposalState.FAILED)
        return settled

    async def _settle(self, proposal: Proposal) -> None:
        now = self._clock.now()
        too_late = proposal.expires_at <= now or now - (proposal.decided_at or proposal.created_at) > STALE
        if proposal.state is ProposalState.APPROVED:
            if too_late:
                await self._finish(proposal, ProposalState.FAILED, Refused("proposal_too_late"), came_from=["approved"])
            elif await self._still_allowed(proposal):
                await self._run(proposal)
            return
        if proposal.state not in (ProposalState.EXECUTING, ProposalState.UNKNOWN):
            return

        seen = await self._look(proposal)
        fresh = proposal.claimed_at is not None and now - proposal.claimed_at < self._lease
        if seen is ReadBack.APPLIED:
            outcome = _outcome(self._handler(proposal.change))
            await self._finish(proposal, ProposalState.EXECUTED, MutiraoError(outcome))
        elif seen is None or fresh:
            if proposal.state is ProposalState.EXECUTING:
                await self._finish(proposal, ProposalState.UNKNOWN, OutcomeUnknown("outcome_unknown"))
        elif seen is ReadBack.OTHER:
            await self._finish(proposal, ProposalState.FAILED, Refused("proposal_world_differs"))
        elif proposal.attempts >= ATTEMPTS or too_late:
            await self._finish(proposal, ProposalState.FAILED, Refused("proposal_not_applied"))
        elif await self._still_allowed(proposal):
            async with self._db.tenant(proposal.tenant_id) as conn:
                if not await store.release(conn, proposal.id, proposal.attempts):
                    return
                await audit(conn, _STEP, "proposal.tried_again", proposal.id, {"attempt": proposal.attempts})
            await self._run(replace(proposal, state=ProposalState.APPROVED))

    async def _still_allowed(self, proposal: Proposal) -> bool:
        """Whether the yes still holds: the approver's role and the policy as they are now. Else the proposal fails."""
        try:
            async with self._db.tenant(proposal.tenant_id) as conn:
                role = await store.approver_role(conn, proposal.decided_by or "")
            self._must_have_right(proposal, role)
            if proposal.change.bound_hash(proposal.tenant_id, proposal.tool, proposal.effect) != proposal.change_hash:
                raise Refused("proposal_altered", "the change is not the one that was proposed")
            await self._check(proposal.tenant_id, proposal.tool, proposal.effect, proposal.change)
        except Refused as refused:
            await self._finish(proposal, ProposalState.FAILED, refused, came_from=[proposal.state.value])
            return False
        return True

    async def _look(self, proposal: Proposal) -> ReadBack | None:
        """What the world says; None when it cannot be asked now."""
        try:
            return await self._handler(proposal.change).read_back(proposal.tenant_id, proposal.change)
        except MutiraoError as error:  # away, or it does not let us look: a token that has expired
            log.warning("proposal_not_seen", proposal=proposal.id, code=error.code)
            return None
        except Exception as error:
            _bug(error, proposal)
            return None

    async def _finish(
        self, proposal: Proposal, state: ProposalState, why: MutiraoError, *, came_from: Sentences | None = None
    ) -> None:
        async with self._db.tenant(proposal.tenant_id) as conn:
            if await store.finish(
                conn,
                proposal.id,
                state,
                came_from=came_from or ["executing", "unknown"],
                attempt=proposal.attempts,
                at=self._clock.now(),
                outcome=store.write_outcome(why.code, why.params),
            ):
                detail = {"code": why.code, "attempt": proposal.attempts}
                await audit(conn, _STEP, f"proposal.{state.value}", proposal.id, detail)

    # --- rules --------------------------------------------------------------------------------

    def _must_be_pending(self, proposal: Proposal) -> None:
        if proposal.state is ProposalState.EXPIRED:
            raise Refused("proposal_expired", "the proposal has expired")
        if proposal.state is not ProposalState.PENDING:
            raise Refused("proposal_decided", "the proposal is decided already", state=proposal.state.value)

    def _must_be_approvable(self, proposal: Proposal, role: str | None, door: str) -> None:
        self._must_be_pending(proposal)
        if proposal.expires_at <= self._clock.now():
            raise Refused("proposal_expired", "the proposal has expired")
        if proposal.change.bound_hash(proposal.tenant_id, proposal.tool, proposal.effect) != proposal.change_hash:
            raise Refused("proposal_altered", "the change is not the one that was proposed")
        if proposal.door == "mcp" and door == "mcp":
            # The program that asked for it must not be the one that says yes.
            raise Refused("proposal_same_door", "what was proposed through MCP is approved in the chat or the terminal")
        self._must_have_right(proposal, role)

    def _must_have_right(self, proposal: Proposal, role: str | None) -> None:
        area = self._handler(proposal.change).area
        if role is None or not self._permissions.may_approve(Role(role), proposal.effect, area):
            raise Refused(
                "approval_not_allowed",
                f"the role {role} may not approve {proposal.effect} in {area}",
                effect=proposal.effect,
                area=area,
            )

    async def _must_take_part(self, identity: Identity, proposal: Proposal) -> None:
        """The proposer, or somebody who may approve, by the role in the database."""
        async with self._db.tenant(identity.tenant_id) as conn:
            role = await store.approver_role(conn, identity.user_id)
        if role is None or proposal.proposed_by != identity.user_id:
            self._must_have_right(proposal, role)

    def _sees(self, identity: Identity, proposal: Proposal) -> bool:
        return proposal.proposed_by == identity.user_id or self._sees_all(identity)

    def _sees_all(self, identity: Identity) -> bool:
        return self._permissions.read_scope(identity.role, "approvals") is Scope.ALL

    def _handler(self, change: Change) -> ChangeHandler:
        handler = self._handlers.get(change.kind)
        if handler is None:
            raise ArgumentsWrong("change_unknown", f"no handler for {change.kind!r}", kind=change.kind)
        return handler

    async def _read(self, tenant_id: str, proposal_id: str) -> Proposal:
        async with self._db.tenant(tenant_id) as conn:
            proposal = await store.find(conn, proposal_id)
        if proposal is None:
            raise Refused("proposal_unknown", f"there is no proposal {proposal_id[:80]!r}")
        return proposal


def _lock_key(proposal_id: str) -> str:
    return f"proposal {proposal_id}"


def _stronger(one: str, other: str) -> str:
    """The effect that fewer people may approve: what a tool says it does and what its change does may differ."""
    order = ["WRITE", "SEND", "SPEND"]
    return max(one, other, key=order.index)


def _outcome(handler: ChangeHandler) -> str:
    return handler.outcome if isinstance(handler, NamesOutcome) else "proposal_executed"


def _facts(proposal: Proposal) -> dict[str, Any]:
    return {
        "tool": proposal.tool,
        "effect": proposal.effect,
        "kind": proposal.change.kind,
        "target": proposal.change.target,
        "hash": proposal.change_hash,
        "door": proposal.door,
        "undo_of": proposal.undo_of,
    }


def _bug(error: Exception, proposal: Proposal) -> MutiraoError:
    bug = new_id("bug")
    log.error("proposal_bug", bug=bug, proposal=proposal.id, exc_info=error)
    return MutiraoError("tool_bug", "a bug of ours", id=bug)
