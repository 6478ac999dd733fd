"""Webhooks: events are stored as deliveries in their own commit, and sent, signed, until a receiver takes them."""

from webhooks.deliveries import Deliveries, NotTaken
from webhooks.sender import Receiver

__all__ = ["Deliveries", "NotTaken", "Receiver"]
