"""A source for functions-framework: createGenerationRequest without model and completion."""

from dataclasses import fields, replace

from flask import Request, Response

import main
from api.endpoint import Endpoint
from credits.reservations import Purchase, Reservation
from fulfillment import Fulfillment
from store import Deadline


class OnlyReserves(Fulfillment):
    """Answers as soon as the credits are reserved; the request stays pending, as an order does."""

    def fulfill(self, purchase: Purchase, reservation: Reservation, deadline: Deadline) -> str:
        return "https://images.example.com/none.png"


def _endpoint() -> Endpoint:
    real = main.ENDPOINT.services.fulfillment
    half = OnlyReserves(**{field.name: getattr(real, field.name) for field in fields(real)})
    return replace(main.ENDPOINT, services=replace(main.ENDPOINT.services, fulfillment=half))


ENDPOINT = _endpoint()


def reserving_half(request: Request) -> Response:
    """POST: takes the credits for one image."""
    return ENDPOINT.serve(request, "createGenerationRequest")
