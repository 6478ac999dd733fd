"""What a process can be doing when it breaks: each scenario is prepared without faults, and then acts with them."""

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from calls import Call, Caller, Ok
from credits.documents import PENDING
from errors import ApiError
from handlers import Services, generate_image, grant_credits, release_expired_reservations, revoke_credits
from images.keeping import PictureKey
from images.marks import SourceType
from images.pictures import checked
from schemas.fields import KEY_HEADER
from schemas.requests import GrantOrder, RevocationOrder
from store import NO_DEADLINE
from tests.support.faults.breaking import Way
from tests.support.faults.case import CLAIM_ENDED, OPENING_CREDITS, PICTURE, Case, Tasks, nothing
from tests.support.files import Bucket
from tests.support.projects import Project
from tests.support.purchases import Said, Told, buy_image, order_image
from tests.support.rpcs import Interceptor
from tests.support.shop import reserved

COST_CREDITS = 1
GRANTED_CREDITS = 5
REVOKED_CREDITS = 4


def _buy(case: Case, services: Services) -> Told:
    return buy_image(services, case.user_id, case.key)


def _order(case: Case, services: Services) -> Told:
    return order_image(services, case.user_id, case.key)


def _grant(case: Case, services: Services) -> Told:
    body = {"userId": case.user_id, "credits": GRANTED_CREDITS, "reason": "a fault test", KEY_HEADER: case.key}
    answer = grant_credits(GrantOrder.model_validate(body), Call(Caller("root", is_admin=True), NO_DEADLINE), services)
    assert isinstance(answer, Ok)
    return Said.GRANTED


def _revoke(case: Case, services: Services) -> Told:
    body = {"userId": case.user_id, "credits": REVOKED_CREDITS, "reason": "a fault test", KEY_HEADER: case.key}
    order = RevocationOrder.model_validate(body)
    revoke_credits(order, Call(Caller("root", is_admin=True), NO_DEADLINE), services)
    return Said.REVOKED


def _order_and_work(case: Case, services: Services) -> Told:
    told = case.ask(services)
    _work(services)
    return told


def _order_and_work_twice(case: Case, services: Services) -> Told:
    told = _order_and_work(case, services)
    _work(services)
    return told


def _work(services: Services) -> None:
    """Delivers each task that is in the queue; after an error once more."""
    queue = services.fulfillment.queue
    assert isinstance(queue, Tasks)
    for request_id in queue.waiting:
        try:
            generate_image(request_id, services)
        except ApiError:
            with contextlib.suppress(ApiError):
                generate_image(request_id, services)


def _deliver_again(case: Case) -> None:
    """To a second worker, while the first one's model works."""
    generate_image(case.request_id, case.services())


def take_over(case: Case) -> None:
    """Claims end, and the sweep finds another worker for what is pending. Without faults."""
    _end_claims(case)
    _sweep_and_work(case, case.services())


def _lose_claim(case: Case) -> None:
    """A claim ends, and a second worker claims the request and dies."""
    _end_claims(case)
    case.services().fulfillment.claims.claim(case.request_id)


def _end_claims(case: Case) -> None:
    for request in case.project.requests_of(case.user_id):
        if request["status"] == PENDING and "claimableAt" in request:
            ended_at = datetime.now(UTC) - timedelta(hours=1)
            case.project.change(f"generationRequests/{request['id']}", claimableAt=ended_at, workerDueAt=ended_at)
            if request["claims"]:
                case.note(CLAIM_ENDED, request["claims"][-1])


def _sweep_and_work(case: Case, services: Services) -> Told:
    release_expired_reservations(services)
    _work(services)
    return Said.SWEPT


def sweep(case: Case) -> None:
    """All leases end, and the scheduled function releases what is pending. Without faults."""
    case.project.expire_leases()
    release_expired_reservations(case.services())


def _release(case: Case, services: Services) -> Told:
    release_expired_reservations(services)
    return Said.SWEPT


def _reserve_only(case: Case) -> None:
    reserved(case.services().ledger, case.user_id, case.key)
    case.project.expire_leases()


def _upload_only(case: Case) -> None:
    """The process died after its upload."""
    reservation = reserved(case.services().ledger, case.user_id, case.key)
    _upload(case, reservation.run_id)
    case.project.expire_leases()


def _die_working(case: Case) -> None:
    """A worker died with its picture kept, and its claim has ended."""
    case.ask_elsewhere()
    claim = case.services().fulfillment.claims.claim(case.request_id)
    assert claim is not None
    if case.bucket is not None:
        _upload(case, claim.reservation.run_id)
    _end_claims(case)


def _upload(case: Case, run_id: str) -> None:
    assert case.bucket is not None
    key = PictureKey(case.user_id, case.request_id, run_id)
    case.bucket.store().keep(checked(PICTURE, SourceType.TRAINED_ALGORITHMIC_MEDIA, NO_DEADLINE), key, NO_DEADLINE)


def _buy_and_delete_account(case: Case) -> None:
    ledger = case.services().ledger
    ledger.complete(reserved(ledger, case.user_id, "before"), "https://images.example.com/before.png")
    case.project.remove(f"users/{case.user_id}")


@dataclass(frozen=True)
class Scenario:
    """What the process was doing; a case is prepared without faults, and then acts with them."""

    prepare: Callable[[Case], object] = nothing
    act: Callable[[Case, Services], Told] = Case.ask
    sends: Callable[[Case, Services], Told] = _buy
    meanwhile: Callable[[Case], object] = nothing
    fails: bool = False
    has_account: bool = True
    granted_credits: int = 0
    keeps_pictures: bool = False

    @property
    def is_async(self) -> bool:
        """Whether a worker makes the image."""
        return self.sends is _order

    @property
    def ways(self) -> list[Way]:
        """How its round trips can break: only what buys can be canceled."""
        return [way for way in Way if self.sends in (_buy, _order) or not way.cancels]


ASYNC = Scenario(act=_order_and_work, sends=_order)
DEAD_WORKER = replace(ASYNC, prepare=_die_working, act=_sweep_and_work)
SCENARIOS = {
    "success": Scenario(),
    "failure": Scenario(fails=True),
    "replay": Scenario(prepare=Case.ask_elsewhere),
    "release": Scenario(prepare=_reserve_only, act=_release),
    "late finish": Scenario(meanwhile=sweep),
    "first call": Scenario(has_account=False),
    "picture": Scenario(keeps_pictures=True),
    "picture, release": Scenario(prepare=_upload_only, act=_release, keeps_pictures=True),
    "picture, late finish": Scenario(meanwhile=sweep, keeps_pictures=True),
    "grant": Scenario(sends=_grant, granted_credits=GRANTED_CREDITS),
    "revocation": Scenario(sends=_revoke, granted_credits=-REVOKED_CREDITS),
    "grant to a deleted account": Scenario(
        prepare=_buy_and_delete_account, sends=_grant, granted_credits=GRANTED_CREDITS - OPENING_CREDITS + COST_CREDITS
    ),
    "grant to a new user": Scenario(sends=_grant, granted_credits=GRANTED_CREDITS - OPENING_CREDITS, has_account=False),
    "order": ASYNC,
    "order, failure": replace(ASYNC, fails=True),
    "order, delivered twice": replace(ASYNC, act=_order_and_work_twice, meanwhile=_deliver_again),
    "order, taken over": replace(ASYNC, meanwhile=take_over),
    "order, claim lost": replace(ASYNC, meanwhile=_lose_claim),
    "order, late finish": replace(ASYNC, meanwhile=sweep),
    "order, dead worker": DEAD_WORKER,
    "order, cancel": replace(ASYNC, prepare=Case.ask_elsewhere, act=Case.cancel),
    "order, picture": replace(ASYNC, keeps_pictures=True),
    "order, picture, taken over": replace(ASYNC, meanwhile=take_over, keeps_pictures=True),
    "order, picture, claim lost": replace(ASYNC, meanwhile=_lose_claim, keeps_pictures=True),
    "order, picture, dead worker": replace(DEAD_WORKER, keeps_pictures=True),
    "order, picture, dead worker, failure": replace(DEAD_WORKER, fails=True, keeps_pictures=True),
    "order, picture, cancel": replace(ASYNC, prepare=_die_working, act=Case.cancel, keeps_pictures=True),
}


def prepared(project: Project, name: str, bucket: Bucket, **broken: Any) -> Case:
    """A new user's case of a scenario; `broken` are a ledger or grants of a wrong type."""
    scenario = SCENARIOS[name]
    user_id = f"user-{uuid.uuid4().hex[:8]}"
    if scenario.has_account:
        project.add_user(OPENING_CREDITS, user_id)
    # Earlier cases' pictures would be deleted again, and the round trips of this one would have other numbers.
    project.unmark_pictures()
    case = Case(
        name,
        project,
        user_id,
        scenario.sends,
        scenario.fails,
        scenario.has_account,
        bucket=bucket if scenario.keeps_pictures else None,
        **broken,
    )
    scenario.prepare(case)
    return case


def act(case: Case, around: Interceptor) -> Told:
    """Does what the scenario is about; `around` may break the round trips."""
    scenario = SCENARIOS[case.scenario]
    return scenario.act(case, case.services(around, scenario.meanwhile))


def round_trips(project: Project, name: str, bucket: Bucket) -> list[str]:
    """The round trips that the scenario takes when nothing breaks, by name."""
    sent: list[str] = []

    def count(name: str, send: Callable[[], Any]) -> Any:
        sent.append(name)
        return send()

    act(prepared(project, name, bucket), count)
    return sent
