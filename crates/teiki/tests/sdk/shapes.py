"""What every answer must look like, whatever it says: the keys of `shapes.json`, whole numbers, metadata of strings.

Shared by the flows of the Python SDK and the raw-socket client. A body is checked with everything inside it.
"""

import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent
SHAPES = json.loads((FOLDER / "shapes.json").read_text(encoding="utf-8"))
CARDS = json.loads((FOLDER / "cards.json").read_text(encoding="utf-8"))

ERROR_TYPES = {
    "client_error",
    "card_error",
    "server_error",
    "not_allowed_method_error",
    "auth_error",
    "invalid_request_error",
}
ID_LENGTH = 32


class Wrong(AssertionError):
    """An answer that does not have its shape."""


def check(value, at="body"):
    """Raises `Wrong` unless the value and everything in it have their shape."""
    if isinstance(value, float):
        raise Wrong(f"{at}: {value!r} is not a whole number")
    if isinstance(value, dict):
        for key, shape in SHAPES.get(value.get("object"), {}).items():
            if key not in value:
                raise Wrong(f"{at}: {value['object']} has no key {key}: {sorted(value)}")
            _check_value(value[key], shape, f"{at}.{key}")
        for key, inner in value.items():
            check(inner, f"{at}.{key}")
        if value.get("object") == "list":
            _check_list(value, at)
        if value.get("deleted") is not None:
            _check_deleted(value, at)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check(inner, f"{at}[{number}]")


def check_error(body, status, at="body"):
    """The error of a body, which must be one of this HTTP status."""
    if not isinstance(body, dict) or set(body) != {"error"}:
        raise Wrong(f"{at}: an error body has the one key `error`: {body!r}")
    error = body["error"]
    check(error, at)
    if error.get("status") != status or isinstance(error.get("status"), bool):
        raise Wrong(f"{at}: error.status is {error.get('status')!r}, the HTTP status {status}")
    if error.get("type") not in ERROR_TYPES:
        raise Wrong(f"{at}: error.type {error.get('type')!r} is none of the documented ones")
    if not isinstance(error.get("message"), str) or not error["message"].strip():
        raise Wrong(f"{at}: error.message is {error.get('message')!r}")
    for key in ("code", "param", "charge"):
        if error.get(key) is not None and (not isinstance(error[key], str) or not error[key]):
            raise Wrong(f"{at}: error.{key} is {error[key]!r}")
    return error


def _check_value(value, shape, at):
    if shape.endswith("?"):
        if value is None:
            return
        shape = shape[:-1]
    if shape.startswith("id "):
        is_right = isinstance(value, str) and _is_id(value, shape.removeprefix("id "))
    elif shape.startswith("list of "):
        of = shape.removeprefix("list of ")
        is_right = _is(value, "list") and all(_is(item, of) for item in value.get("data", []))
    elif shape == "string":
        is_right = isinstance(value, str)
    elif shape == "integer":
        is_right = isinstance(value, int) and not isinstance(value, bool)
    elif shape == "boolean":
        is_right = isinstance(value, bool)
    elif shape == "strings":
        is_right = isinstance(value, list) and all(isinstance(item, str) for item in value)
    elif shape == "metadata":
        is_right = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    elif shape == "resources":
        is_right = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    elif shape == "resource":
        is_right = isinstance(value, dict) and ("object" in value or value.get("deleted") is True)
    else:
        is_right = _is(value, shape)
    if not is_right:
        raise Wrong(f"{at}: {value!r} is not of the shape `{shape}`")


def _is(value, object_name):
    return isinstance(value, dict) and value.get("object") == object_name


def _is_id(value, prefix):
    return len(value) == ID_LENGTH and re.fullmatch(prefix + "[0-9a-f]+", value) is not None


def _check_list(value, at):
    if value["count"] != len(value["data"]):
        raise Wrong(f"{at}: count is {value['count']}, and there are {len(value['data'])} items")
    if not re.fullmatch(r"/v1/[^?]+", value["url"]):
        raise Wrong(f"{at}: the url of a list begins with /v1 and has no query: {value['url']!r}")


def _check_deleted(value, at):
    if set(value) != {"deleted", "id", "livemode"} or value["deleted"] is not True:
        raise Wrong(f"{at}: a delete answer has the keys deleted, id and livemode: {value!r}")
