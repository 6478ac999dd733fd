"""From a reservation to its end: the model makes the image, it is kept and sold; or the credits go back.

A synchronous purchase does this while the client waits, an asynchronous one in a worker that a task calls.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import logs
from credits.claims import Claims
from credits.endings import ClaimLost
from credits.ledger import Ledger
from credits.reservations import Purchase, Reservation
from errors import BrokenDocument, GenerationCanceled, GenerationFailed, UserNotFound
from images.keeping import PictureKey, Pictures
from images.model import ImageModel, ImageOrder, ModelFailed, generate_image
from store import Deadline
from task_queue import TaskQueue
from task_sweep import TaskSweep

# The field of a worker's task that names its request.
REQUEST_ID = "generationRequestId"


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """Makes images for reservations. An image is sold only if it is ready `settling_seconds` before the deadline."""

    ledger: Ledger
    claims: Claims
    models: Mapping[str, ImageModel]
    pictures: Pictures
    queue: TaskQueue
    lost_tasks: TaskSweep
    settling_seconds: float
    monotonic: Callable[[], float]

    def image_deadline(self, deadline: Deadline) -> Deadline:
        """By when an image must be ready, so that it can be sold before the deadline."""
        return deadline.earlier(self.settling_seconds)

    def fulfill(self, purchase: Purchase, reservation: Reservation, deadline: Deadline) -> str:
        """Runs the model and sells the image; gives its URL.

        Raises:
            GenerationFailed: there is no image, and the credits are back.
            GenerationCanceled: somebody canceled the request, and the credits are back.
            ClaimLost: another run has the request now.
            UserNotFound: the account was deleted meanwhile, and its credits with it.
            BrokenDocument: a stored field is wrong.
            Unavailable: the outcome is not known; if the request is still pending, the sweep refunds later.
        """
        image_url = self._generate_or_refund(purchase, reservation, self.image_deadline(deadline))
        try:
            self.ledger.complete(reservation, image_url, deadline)
        except (GenerationFailed, GenerationCanceled, ClaimLost, UserNotFound, BrokenDocument):
            # Somebody else ended the request or runs it now, and nobody will ever be told this URL.
            self.pictures.discard(_picture_key(reservation))
            raise
        return image_url

    def enqueue(self, request_id: str, deadline: Deadline) -> None:
        """Asks for a worker. If the queue does not take the task in time, the sweep asks again."""
        self.queue.enqueue({REQUEST_ID: request_id}, deadline)

    def enqueue_waiting(self) -> None:
        """Asks again for a worker for every order that none has claimed in time, or whose worker has died."""
        self.lost_tasks.run()

    def work(self, request_id: str) -> None:
        """Fulfills an asynchronous purchase, unless another worker has it or it has ended.

        Raises:
            Unavailable: Firestore did not answer. The queue calls again, and a sweep takes care of what stays pending.
        """
        # Before the claim, since the platform's time-out runs already.
        began = Deadline.after(self.claims.claim_seconds, self.monotonic)
        claim = self.claims.claim(request_id)
        if claim is None:
            return
        try:
            self.fulfill(claim.purchase, claim.reservation, began.at_most(claim.run_seconds))
        except (GenerationFailed, GenerationCanceled, ClaimLost, UserNotFound) as end:
            logs.info("generation without image", generationRequestId=request_id, outcome=type(end).__name__)

    def _generate_or_refund(self, purchase: Purchase, reservation: Reservation, image_deadline: Deadline) -> str:
        order = ImageOrder(
            reservation.request_id,
            reservation.run_id,
            purchase.style,
            purchase.color,
            purchase.size,
            purchase.prompt,
        )
        try:
            model = self.models.get(purchase.model)
            if model is None:
                raise ModelFailed(f"There is no model {purchase.model!r} any more.")
            picture = generate_image(model, order, image_deadline)
            return self.pictures.url_of(picture, _picture_key(reservation), image_deadline)
        except ModelFailed as error:
            causes = [type(each).__name__ for each in logs.chain(error)]
            logs.warn("generation failed", failure=error.failure, why=str(error), causes=causes)
            # No deadline: the credits must go back even if a slow model has used up the request's time.
            self.ledger.refund(reservation, error.failure, leaves_picture=error.leaves_picture)
            raise GenerationFailed(
                reservation.cost_credits,
                reservation.request_id,
                error.failure,
                retry_after_seconds=error.retry_after_seconds,
            ) from error


def _picture_key(reservation: Reservation) -> PictureKey:
    return PictureKey(reservation.user_id, reservation.request_id, reservation.run_id)
