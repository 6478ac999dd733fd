"""A Write -> Firestore's message: its precondition, its update mask and its transforms.

A field in the mask without a value is removed; a field outside the mask stays as it is. The commit time is not a value
but a transform: https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#write
"""

import re
from collections.abc import Mapping
from typing import Any

from google.cloud.firestore_v1 import types

from store.documents import COMMIT_TIME, REMOVED, Version, Write
from store.values import fill

_REQUEST_TIME = int(types.DocumentTransform.FieldTransform.ServerValue.REQUEST_TIME)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def fill_write(message: Any, write: Write) -> None:
    """Fills an empty message, except for the document's name."""
    masked = write.merges or write.replaces is not None
    if masked:
        # A mask without a field changes nothing; no mask at all would replace the document.
        message.update_mask.SetInParent()
    if write.replaces is not None:
        fill_time(message.current_document.update_time, write.replaces)
    elif not write.merges:
        message.current_document.exists = False
    _fill_fields(message, message.update.fields, write.data, "", masked, write.merges)


def fill_time(message: Any, version: Version) -> None:
    """Sets a protobuf time."""
    message.seconds, message.nanos = divmod(version, 1_000_000_000)
    message.SetInParent()


def field_path(name: str) -> str:
    """A field's name as it is written in a path: in backticks unless it is a plain word."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _fill_fields(message: Any, fields: Any, data: Mapping[str, Any], prefix: str, masked: bool, merges: bool) -> None:
    """Sets the fields at one level of the document; `prefix` is the path to that level."""
    for name, value in data.items():
        if value is COMMIT_TIME:
            path = prefix + field_path(name)
            message.update_transforms.add(field_path=path, set_to_server_value=_REQUEST_TIME)
            continue
        is_map = isinstance(value, Mapping)
        if is_map:
            # If a map is not merged, its own place in the mask covers everything below it.
            inside = merges and len(value) > 0
            fields[name].map_value.SetInParent()
            below = f"{prefix}{field_path(name)}."
            _fill_fields(message, fields[name].map_value.fields, value, below, masked and inside, inside)
            if inside:
                continue
        elif value is not REMOVED:
            fill(fields[name], value)
        if masked:
            message.update_mask.field_paths.append(prefix + field_path(name))
