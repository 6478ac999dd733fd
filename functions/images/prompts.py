"""An order in words, for models that read nothing else."""

from images.model import ImageOrder

# For an order without a prompt: something in which every style and color shows.
SUBJECT = "a landscape with a lake, hills and a small house"


def prompt_for(order: ImageOrder) -> str:
    """What to draw, in which style and in which colors. The size is not in it: providers take that as a parameter."""
    return f"Draw one picture: {order.prompt or SUBJECT}\nStyle: {order.style}. Colors: {order.color}."
